// The servers of the eras run. Each is started fresh, on a free port of loopback.
import { execFileSync, fork, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { own } from '../lib/children.mjs';

const START_LIMIT_MS = 30_000;
const PRELOAD = new URL('../lib/loopback.mjs', import.meta.url).href;
const GOSERVER = fileURLToPath(new URL('../goserver', import.meta.url));

// go-sdk takes initialize even where it was told to speak 2026-07-28 only, and then nothing else. mcp-go
// can't be told at all. With these mcp-bridge has to be told which era to speak.
const args = ['--era', 'modern'];

/**
 * By name: the eras that the server speaks, how it is started, what mcp-bridge is told, and what the
 * server can't do with any host. mcp-go loses notifications on the stream of a call, by chance.
 */
export const SERVERS = {
  'SDK 2.x modern': { eras: ['modern'], ts2: 'modern' },
  'SDK 2.x dual': { eras: ['handshake', 'modern'], ts2: 'dual' },
  'mcp-go modern': { eras: ['modern'], go: ['mcp-go'], args, lacks: ['progress', 'logs', 'a change of a resource is told'] },
  'mcp-go dual': { eras: ['handshake', 'modern'], go: ['mcp-go'], lacks: ['progress', 'logs'] },
  'mcp-go handshake': { eras: ['handshake'], go: ['mcp-go', '2025-11-25'], lacks: ['progress', 'logs'] },
  'go-sdk modern': { eras: ['modern'], go: ['go-sdk', '2026-07-28'], args },
  'go-sdk dual': { eras: ['handshake', 'modern'], go: ['go-sdk'] },
  'go-sdk handshake': { eras: ['handshake'], go: ['go-sdk', '2025-11-25'], lacks: ['two rounds of questions'] },
};

/** Builds the Go servers into a folder. */
export function build(folder) {
  const program = path.join(folder, 'goserver');
  execFileSync('go', ['build', '-o', program, '.'], { cwd: GOSERVER, stdio: ['ignore', 'inherit', 'inherit'] });
  return program;
}

/** Starts a server of SERVERS; goserver is what build returned. */
export async function start(name, goserver) {
  const { ts2, go } = SERVERS[name];
  if (go) {
    const child = own(spawn(goserver, go, { stdio: ['pipe', 'pipe', 'ignore'] }));
    const [line] = await soon(name, child, (done) => createInterface(child.stdout).once('line', (line) => done([line])));
    return { url: new URL(line), stop: () => child.kill('SIGKILL') };
  }
  const child = own(fork(fileURLToPath(new URL('ts2server.mjs', import.meta.url)), [ts2], { execArgv: ['--import', PRELOAD], silent: true }));
  const { port } = await soon(name, child, (done) => child.once('message', done));
  return { url: new URL(`http://127.0.0.1:${port}/mcp`), stop: () => child.kill('SIGKILL') };
}

function soon(name, child, when) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`server ${name} did not listen within ${START_LIMIT_MS} ms`)), START_LIMIT_MS);
    child.once('exit', (code, signal) => reject(new Error(`server ${name} ended with ${signal ?? code}`)));
    when((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
