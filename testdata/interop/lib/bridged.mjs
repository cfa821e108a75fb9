// What a bridge owes besides the messages: a clean stdout, a clean exit, one session, ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { exitOf } from './children.mjs';

const EXIT_LIMIT_MS = 5_000;
const END_LIMIT_MS = 5_000;

/** Closes the bridge's stdin and looks at what it leaves; check(name, complaints) takes the findings. */
export async function endBridge(transport, server, check) {
  const { child } = transport;
  if (!child) return check('started', ['the bridge did not start']);
  child.stdin.end();
  const exit = await exitOf(child, EXIT_LIMIT_MS);
  const how = exit ? `ended with ${exit.signal ?? exit.code}` : 'still running';
  check('exits with 0 within 5 s of the end of stdin', exit?.code === 0 ? undefined : [how]);
  if (!exit) child.kill('SIGKILL');
  check('stdout carries JSON-RPC messages only', transport.strayOutput());
  await checkSessions(server, check);
}

/** Looks at what a bridge that has ended leaves at the server. */
export async function checkSessions(server, check) {
  const began = Date.now();
  const { sessions } = server;
  if (server.begun) check('begins one session at the server', server.begun() === sessions ? undefined : [`the server saw ${server.begun()}`]);
  if (!server.ended) return;
  while (server.ended() < sessions && Date.now() - began < END_LIMIT_MS) await sleep(20);
  check('ends what it began at the server', server.ended() === sessions ? undefined : [`the server saw ${server.ended()} end`]);
}
