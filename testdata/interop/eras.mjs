// Holds sessions of hosts of every era with servers of every era, through mcp-bridge.
//   node eras.mjs PATH_TO_MCP_BRIDGE [WORD...]   only pairs that have all these words in their name
//   node eras.mjs --direct                       the pairs that need no bridge
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import './lib/children.mjs';
import { endBridge } from './lib/bridged.mjs';
import { Report } from './lib/report.mjs';
import { startServer } from './lib/server.mjs';
import { BridgeTransport } from './lib/transports.mjs';
import { everything } from './eras/everything.mjs';
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

const report = new Report();
function giveUp(why) {
  report.check('the run itself', why.split('\n'));
  process.exit(report.end());
}
setTimeout(giveUp, LIMIT_MS, `not finished within ${LIMIT_MS} ms`).unref();
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, (error) => giveUp(error.stack));

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }));

/** Every pair of a host and a server: what is done, and whether the two understand each other by themselves. */
function* pairs() {
  for (const [host, { era }] of Object.entries(HOSTS)) {
    for (const [server, { eras }] of Object.entries(SERVERS)) {
      yield { name: `${host} / ${server}`, host, server, steps: scenario, native: eras.includes(era) };
    }
    for (const server of ['streamable', 'sse']) {
      yield { name: `${host} / everything ${server}`, host, server, steps: everything, native: era === 'handshake' && host !== 'SDK 2.x handshake' };
    }
  }
}

/** Does the steps over one transport. Returns what came of each, by its name. */
async function hold(pair, host, transport) {
  const outcomes = new Map();
  try {
    const capabilities = await within(host.connect(transport));
    if (host.era !== HOSTS[pair.host].era) throw new Error(`the host is of the era ${host.era}`);
    outcomes.set('connect', {});
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

const isEverything = (server) => !(server in SERVERS);
const launch = (server) => (isEverything(server) ? startServer(server) : start(server, goserver));

async function direct(pair) {
  const server = await launch(pair.server);
  const host = HOSTS[pair.host].make();
  const outcomes = await hold(pair, host, host.http(server.url));
  await host.close().catch(() => {});
  server.stop();
  return outcomes;
}

async function bridged(pair) {
  const server = await launch(pair.server);
  const host = HOSTS[pair.host].make();
  const transport = new BridgeTransport(bridge, [server.url.href, ...(SERVERS[pair.server]?.args ?? [])], home);
  const outcomes = await hold(pair, host, transport);
  const findings = [];
  await endBridge(transport, isEverything(pair.server) ? server : {}, (what, complaints) => findings.push({ what, complaints }));
  await host.close().catch(() => {});
  server.stop();
  return { outcomes, findings, said: transport.said };
}

async function run(pair) {
  // Where the two understand each other, what they can't do without a bridge they need not with one.
  const alone = pair.native ? await direct(pair) : undefined;
  const lacks = SERVERS[pair.server]?.lacks ?? [];
  const judged = (step) => !lacks.includes(step.name) && (!alone || !judge(step, alone.get(step.name)));
  if (!bridge) {
    for (const step of [{ name: 'connect' }, ...pair.steps]) report.check(`${pair.name}: ${step.name}`, judge(step, alone.get(step.name)));
    return;
  }
  const { outcomes, findings, said } = await bridged(pair);
  const failedBefore = report.failed;
  for (const step of [{ name: 'connect' }, ...pair.steps]) {
    if (judged(step)) report.check(`${pair.name}: ${step.name}`, judge(step, outcomes.get(step.name)));
  }
  for (const { what, complaints } of findings) report.check(`${pair.name}: ${what}`, complaints);
  if (report.failed > failedBefore && said) console.log(`the bridge said on stderr:\n${said.slice(-2000).trimEnd()}`);
}

const goserver = build(home);
const queue = [...pairs()].filter(({ name, native }) => words.every((word) => name.includes(word)) && (bridge || native));
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  for (let pair; (pair = queue.shift()); ) await run(pair);
}));
process.exit(report.end());
