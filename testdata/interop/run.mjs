// Compares a session through mcp-bridge with one on a direct connection, step by step.
//   node run.mjs PATH_TO_MCP_BRIDGE     (or MCP_BRIDGE=PATH node run.mjs)
//   node run.mjs --direct               both connections direct: what fails here is not the bridge's fault
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import './lib/children.mjs';
import { endBridge } from './lib/bridged.mjs';
import { difference } from './lib/compare.mjs';
import { runLeg } from './lib/leg.mjs';
import { Report } from './lib/report.mjs';
import { startServer } from './lib/server.mjs';
import { BridgeTransport, directTransport } from './lib/transports.mjs';
import { STEPS } from './steps/index.mjs';

const LIMIT_MS = 60_000;
const LAST_STEP_MS = 40_000; // the last step may take 12 s, and the bridge's end 5 s

/** What is compared with a direct connection to another server of the same name. */
const SUBJECTS = [
  { name: 'streamable', server: 'streamable', args: [] },
  { name: 'sse', server: 'sse', args: [] },
  { name: 'sse --transport sse', server: 'sse', args: ['--transport', 'sse'] },
  { name: 'json', server: 'json', args: [] },
  { name: 'stateless', server: 'stateless', args: [] },
  { name: 'polling', server: 'polling', args: [] },
];

const program = process.argv[2] ?? process.env.MCP_BRIDGE;
if (!program) {
  console.error('usage: node run.mjs PATH_TO_MCP_BRIDGE | --direct');
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

const deadline = Date.now() + LAST_STEP_MS;
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'));
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }));

async function runDirect(name) {
  const server = await startServer(name);
  const transport = directTransport(name, server.url);
  const { session, outcomes } = await runLeg(name, transport, deadline);
  await session.client.close();
  server.stop();
  return { outcomes, findings: [], said: '' };
}

async function runBridged(name, args) {
  const server = await startServer(name);
  const transport = new BridgeTransport(bridge, [server.url.href, ...args], home);
  const { session, outcomes } = await runLeg(name, transport, deadline);
  const findings = [];
  await endBridge(transport, server, (what, complaints) => findings.push({ what, complaints }));
  await session.client.close();
  server.stop();
  return { outcomes, findings, said: transport.said };
}

// All at once: most of the time goes by in the servers' own delays.
const direct = Object.fromEntries(Object.keys(STEPS).map((server) => [server, runDirect(server)]));
const legs = SUBJECTS.map(({ server, args }) => (bridge ? runBridged(server, args) : runDirect(server)));

for (const [i, { name, server }] of SUBJECTS.entries()) {
  const failedBefore = report.failed;
  const [expected, got] = await Promise.all([direct[server], legs[i]]);
  for (const step of STEPS[server]) {
    report.check(`${name} ${step.name}`, difference(step, expected.outcomes.get(step.name), got.outcomes.get(step.name)));
  }
  for (const { what, complaints } of got.findings) report.check(`${name} ${what}`, complaints);
  if (report.failed > failedBefore && got.said) console.log(`the bridge said on stderr:\n${got.said.slice(-2000).trimEnd()}`);
}
process.exit(report.end());
