// Signs in through mcp-bridge and a real browser, at a certified OpenID provider.
//   node auth.mjs PATH_TO_MCP_BRIDGE     (or MCP_BRIDGE=PATH node auth.mjs)
// Chromium is at /usr/bin/chromium, or where $CHROMIUM says.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import './lib/children.mjs';
import { Report } from './lib/report.mjs';
import { AuthServer } from './signin/authserver.mjs';
import { Bridges } from './signin/bridges.mjs';
import { Browser } from './signin/browser.mjs';
import { startMcpServer } from './signin/mcpserver.mjs';
import * as device from './signin/scenarios/device.mjs';
import * as first from './signin/scenarios/first.mjs';
import * as forgotten from './signin/scenarios/forgotten.mjs';
import * as late from './signin/scenarios/late.mjs';
import * as logout from './signin/scenarios/logout.mjs';
import * as offline from './signin/scenarios/offline.mjs';
import * as refusal from './signin/scenarios/refusal.mjs';
import * as renewal from './signin/scenarios/renewal.mjs';
import * as secrets from './signin/scenarios/secrets.mjs';
import * as stale from './signin/scenarios/stale.mjs';
import * as stranger from './signin/scenarios/stranger.mjs';

/** The first four go through the life of one login. */
const SCENARIOS = [first, renewal, forgotten, logout, stranger, late, device, refusal, offline, stale, secrets];
const LIMIT_MS = 120_000;
const SCENARIO_LIMIT_MS = 60_000;

const program = process.argv[2] ?? process.env.MCP_BRIDGE;
if (!program) {
  console.error('usage: node auth.mjs PATH_TO_MCP_BRIDGE');
  process.exit(2);
}

const report = new Report();
function giveUp(why) {
  report.check('the run itself', why.split('\n'));
  process.exit(report.end());
}
setTimeout(giveUp, LIMIT_MS, `not finished within ${LIMIT_MS} ms`).unref();
for (const event of ['uncaughtException', 'unhandledRejection']) process.on(event, (error) => giveUp(error.stack));

const authServer = new AuthServer();
await authServer.start();
const mcpServer = await startMcpServer(authServer);
const browser = new Browser();
await browser.start();
const bridges = new Bridges(path.resolve(program), browser);
const screenshots = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-auth-'));
/** chain is what one scenario leaves to the next. */
const world = { authServer, mcpServer, browser, bridges, screenshots, chain: {} };

for (const { name, run } of SCENARIOS) {
  const before = { failed: report.failed, journal: authServer.journal.length, bridges: bridges.all.length };
  const check = (what, holds, ...facts) => report.check(`${name}: ${what}`, holds ? undefined : facts.length > 0 ? facts.join('\n').split('\n') : ['it does not']);
  authServer.resetPolicy();
  browser.dropPages();
  try {
    await within(SCENARIO_LIMIT_MS, run({ ...world, check }));
  } catch (error) {
    check('goes through', false, error.stack);
  }
  if (report.failed > before.failed) tell(before);
}
report.check('Chromium ends', (await browser.stop()).map((pid) => `process ${pid} still runs`));
mcpServer.stop();
authServer.stop();
process.exit(report.end());

function within(ms, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished within ${ms} ms`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** What helps to find out why a scenario failed. */
function tell({ journal, bridges: seen }) {
  console.log('the authorization server answered:');
  for (const { route, grant = '', status, reply } of authServer.journal.slice(journal)) {
    console.log(`  ${route} ${grant} ${status} ${reply.error ?? ''} ${reply.error_description ?? ''}`.trimEnd());
  }
  for (const { said } of bridges.all.slice(seen)) console.log(`a bridge said on stderr:\n${said.slice(-3000).trimEnd()}`);
}
