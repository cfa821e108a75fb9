// The client that the suite tests: a host with mcp-bridge between it and the suite's server.
//   node driver.mjs SERVER_URL
// The suite says in the environment what the scenario is, and conformance.mjs which bridge, which host
// (CONFORMANCE_ERA) and a folder for the bridge's files (CONFORMANCE_WORK).
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import '../lib/children.mjs';
import { BridgeTransport } from '../lib/transports.mjs';
import { flagsOf } from './flags.mjs';
import { Session } from './session.mjs';
import { stepsOf } from './steps.mjs';

const LIMIT_MS = 50_000; // the suite has a limit too, but ends only the shell that it started this with

const { MCP_BRIDGE, CONFORMANCE_ERA, CONFORMANCE_WORK: work, MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT } = process.env;
const given = JSON.parse(MCP_CONFORMANCE_CONTEXT ?? '{}');
const { args, env } = flagsOf(scenario, given, work);
const browser = `${process.execPath} ${fileURLToPath(new URL('../lib/browser.mjs', import.meta.url))}`;
const transport = new BridgeTransport(
  MCP_BRIDGE,
  [process.argv.at(-1), '--browser', browser, '--log-level', 'debug', ...args],
  work,
  { MCP_BRIDGE_HOME: path.join(work, 'logins'), ...env },
);
process.on('exit', () => fs.writeFileSync(path.join(work, 'said'), transport.said));
setTimeout(() => {
  console.error(`driver: not finished within ${LIMIT_MS} ms`);
  process.exit(2);
}, LIMIT_MS).unref();

const session = new Session(CONFORMANCE_ERA, transport);
try {
  await stepsOf(scenario)(session, given);
} catch (error) {
  console.error(`driver: ${error.stack}`);
  process.exitCode = 1;
}
const complaints = await session.end();
for (const complaint of complaints) console.error(`driver: ${complaint}`);
process.exit(complaints.length > 0 ? 3 : process.exitCode);
