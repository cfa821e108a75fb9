// Holds sessions of hosts of every era with servers of every era, through mcp-bridge, with and without sign-in.
//   node eras.mjs PATH_TO_MCP_BRIDGE [WORD...]   only pairs that have all these words in their name
//   node eras.mjs --direct                       the pairs that need no bridge
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import './lib/children.mjs';
import { Report } from './lib/report.mjs';
import { startServer } from './lib/server.mjs';
import { table } from './lib/table.mjs';
import { everything } from './eras/everything.mjs';
import { SIGN_IN, behindSignIn } from './eras/gate.mjs';
import { HOSTS } from './eras/hosts.mjs';
import { scenario } from './eras/scenario.mjs';
import { SERVERS, build, start } from './eras/servers.mjs';

const LIMIT_MS = 240_000;
const STEP_LIMIT_MS = 15_000;
const AT_ONCE = 8; // most of the time goes by in waiting for what servers do not send

const [program = process.env.MCP_BRIDGE, ...words] = process.argv.slice(2);
if (!program) {
  console.error('usage: node eras.mjs PATH_TO_MCP_BRIDGE [WORD...] | --direct');
  process.exit(2);
}
const bridge = program === '--direct' ? undefined : path.resolve(program);

const report = new Report({ quiet: true });
function giveUp(why) {
  report.check('the run itself', why.split('\n'));
  process.exit(report.end());
}
setTimeout(giveUp, LIMIT_MS, `not finished within ${LIMIT_MS} ms`).unref();
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, (error) => giveUp(error.stack));

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }));

const EVERYTHING = { 'everything streamable': 'streamable', 'everything sse': 'sse' };
const COLUMNS = [...Object.keys(SERVERS), ...Object.keys(EVERYTHING)];

/** Pairs that are held again behind a sign-in: of one era, and of two. */
const SIGNED_IN = [
  ['SDK 1.x', 'go-sdk dual'],
  ['SDK 1.x', 'SDK 2.x modern'],
  ['SDK 2.x dual', 'mcp-go dual'],
  ['SDK 2.x modern', 'everything streamable'],
  ['go-sdk handshake', 'everything sse'],
  ['go-sdk dual', 'SDK 2.x dual'],
  ['mcp-go handshake', 'go-sdk modern'],
  ['mcp-go dual', 'go-sdk handshake'],
];

/** What is done by a pair of a host and a server, and whether the two understand each other by themselves. */
function pair(host, server, signIn = false) {
  const { era, alone = [] } = HOSTS[host];
  const name = `${host} / ${server}${signIn ? ', signed in' : ''}`;
  if (server in EVERYTHING) return { name, host, server, signIn, steps: everything, native: alone.includes(server) };
  return { name, host, server, signIn, steps: scenario, native: SERVERS[server].eras.includes(era) };
}

function* pairs() {
  for (const host of Object.keys(HOSTS)) for (const server of COLUMNS) yield pair(host, server);
  for (const [host, server] of SIGNED_IN) yield pair(host, server, true);
}

/** Does the steps over one transport. Returns what came of each, by its name. */
async function hold(pair, host, transport) {
  const outcomes = new Map();
  try {
    const capabilities = await within(host.connect(transport));
    if (host.era !== HOSTS[pair.host].era) throw new Error(`the host is of the era ${host.era}`);
    outcomes.set('connect', { value: undefined });
    for (const step of pair.steps) outcomes.set(step.name, await attempt(step, { host, capabilities }));
  } catch (error) {
    outcomes.set('connect', { error });
  }
  return outcomes;
}

async function attempt(step, session) {
  session.host.forget();
  try {
    return { value: await within(step.run(session)) };
  } catch (error) {
    return { error };
  }
}

function within(promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished within ${STEP_LIMIT_MS} ms`)), STEP_LIMIT_MS);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** Complaints about an outcome, or undefined. */
function judge(step, outcome) {
  if (!outcome) return ['it did not come to this'];
  if (outcome.error) return `${outcome.error.code ?? ''} ${outcome.error.message}`.trim().split('\n');
  if (step.same?.(outcome.value)) return undefined;
  try {
    assert.deepEqual(outcome.value, step.want);
  } catch {
    return [`got  ${JSON.stringify(outcome.value)}`, `want ${JSON.stringify(step.want)}`];
  }
}

const launch = (server) => (server in EVERYTHING ? startServer(EVERYTHING[server]) : start(server, programs.server));
const newHost = ({ host }) => HOSTS[host].make(programs);

async function direct(pair) {
  const server = await launch(pair.server);
  const host = newHost(pair);
  const outcomes = await hold(pair, host, host.http(server.url));
  await host.close().catch(() => {});
  server.stop();
  return outcomes;
}

async function bridged(pair) {
  const open = await launch(pair.server);
  const server = pair.signIn ? await behindSignIn(open) : open;
  const logins = fs.mkdtempSync(path.join(home, 'logins-'));
  const args = [server.url.href, ...(SERVERS[pair.server]?.args ?? []), ...(pair.signIn ? SIGN_IN : [])];
  const findings = [];
  const check = (what, complaints) => findings.push({ what, complaints });
  let said = '';
  let sessions = 0;
  const session = async (steps) => {
    const host = newHost(pair);
    const transport = host.stdio(bridge, args, home, { MCP_BRIDGE_HOME: logins });
    const outcomes = await hold({ ...pair, steps }, host, transport);
    await host.end(transport, { ...server, sessions: ++sessions }, check);
    await host.close().catch(() => {});
    said += host.said;
    return outcomes;
  };
  // Hosts of 2026-07-28 are answered before the user has signed in, and know the server from the second session on.
  if (pair.signIn) {
    const list = pair.steps.find(({ name }) => name === 'tools/list');
    const first = await session([list]);
    check('signs in', judge({}, first.get('connect')) ?? judge(list, first.get(list.name)));
  }
  const outcomes = await session(pair.steps);
  if (pair.signIn) check('signs in once', server.signIns() === 1 ? undefined : [`the server saw ${server.signIns()}`]);
  server.stop();
  return { outcomes, findings, said };
}

/** How many of a pair's checks there were, and how many failed. */
const counts = new Map();

async function run(pair) {
  const lacks = SERVERS[pair.server]?.lacks ?? [];
  let steps = bridge ? pair.steps.filter(({ name }) => !lacks.includes(name)) : pair.steps;
  // Where the two understand each other, what they can't do without a bridge they need not with one.
  const alone = pair.native ? await direct({ ...pair, steps }) : undefined;
  if (bridge && alone) steps = steps.filter((step) => !judge(step, alone.get(step.name)));
  const { outcomes, findings, said } = bridge ? await bridged({ ...pair, steps }) : { outcomes: alone, findings: [], said: '' };
  const count = { passed: 0, failed: 0 };
  const check = (what, complaints) => {
    count[complaints?.length ? 'failed' : 'passed']++;
    report.check(`${pair.name}: ${what}`, complaints);
  };
  for (const step of [{ name: 'connect' }, ...steps]) check(step.name, judge(step, outcomes.get(step.name)));
  for (const { what, complaints } of findings) check(what, complaints);
  counts.set(pair.name, count);
  if (count.failed > 0 && said) console.log(`the bridge said on stderr:\n${said.slice(-2000).trimEnd()}`);
}

/** How many checks held, of how many. */
function cell(host, server, signIn) {
  const count = counts.get(pair(host, server, signIn).name);
  if (!count) return undefined;
  const { passed, failed } = count;
  return `${failed > 0 ? 'FAIL ' : ''}${passed}/${passed + failed}`;
}

const programs = build(home);
const chosen = [...pairs()].filter(({ name, native, signIn }) => words.every((word) => name.includes(word)) && (bridge || (native && !signIn)));
const queue = [...chosen];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let pair; (pair = queue.shift()); ) await run(pair);
  }),
);
console.log(`\nchecks that held, of hosts (down) with servers (across):\n${table(Object.keys(HOSTS), COLUMNS, (host, server) => cell(host, server))}`);
console.log(`\nbehind a sign-in:\n${table(Object.keys(HOSTS), COLUMNS, (host, server) => cell(host, server, true))}\n`);
process.exit(report.end());
