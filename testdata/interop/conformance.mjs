// Runs every scenario that the official conformance suite has for clients, with mcp-bridge in front of
// the suite's server and a host of the official SDK in front of mcp-bridge.
//   node conformance.mjs PATH_TO_MCP_BRIDGE [WORD...]   only scenarios with all these words in SUITE SCENARIO
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitOf, own } from './lib/children.mjs';
import { table } from './lib/table.mjs';
import { NODE, SUITES, scenariosOf } from './conformance/suites.mjs';
import { checksIn, judge } from './conformance/verdict.mjs';

const AT_ONCE = 3;
const SCENARIO_LIMIT_MS = 60_000;
const PATIENT = new URL('conformance/patient.mjs', import.meta.url).href;

const [program = process.env.MCP_BRIDGE, ...words] = process.argv.slice(2);
if (!program) {
  console.error('usage: node conformance.mjs PATH_TO_MCP_BRIDGE [WORD...]');
  process.exit(2);
}

const expectedFailures = JSON.parse(fs.readFileSync(new URL('conformance/expected-failures.json', import.meta.url), 'utf8'));
const expectedOf = ({ suite, scenario }) => expectedFailures.find((entry) => entry.suite === suite && entry.scenario === scenario);
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-conformance-'));
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }));

/** Runs one scenario, with a folder of its own. */
async function run({ suite, scenario, tags }) {
  const work = fs.mkdtempSync(path.join(home, 'run-'));
  const results = path.join(work, 'results');
  const driver = `${NODE} ${fileURLToPath(new URL('conformance/driver.mjs', import.meta.url))}`;
  const { program: suiteProgram, args, era } = SUITES[suite];
  const child = own(
    spawn(
      NODE,
      ['--import', PATIENT, suiteProgram, 'client', '--command', driver, '--scenario', scenario, '--timeout', `${SCENARIO_LIMIT_MS}`, '-o', results, ...args(tags)],
      { cwd: work, env: { ...process.env, MCP_BRIDGE: path.resolve(program), CONFORMANCE_ERA: era, CONFORMANCE_WORK: work }, stdio: ['ignore', 'pipe', 'pipe'] },
    ),
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const exit = await exitOf(child, SCENARIO_LIMIT_MS + 10_000);
  if (!exit) child.kill('SIGKILL');
  const said = fs.existsSync(path.join(work, 'said')) ? fs.readFileSync(path.join(work, 'said'), 'utf8') : '';
  return { code: exit?.code, output, said, ...checksIn(results) };
}

function tell({ suite, scenario }, { output, said, passed, failed, messages }, complaints) {
  console.log(`FAIL ${suite} ${scenario}`);
  for (const line of [...complaints, ...messages]) console.log(`     ${line}`);
  const driver = output.split('\n').filter((line) => line.includes('driver: '));
  if (driver.length > 0) console.log(`the host said:\n${driver.join('\n')}`);
  if (passed.length + failed.length === 0) console.log(`the suite said:\n${output.slice(-2000).trimEnd()}`);
  if (said) console.log(`the bridge said on stderr:\n${said.slice(-3000).trimEnd()}`);
}

/** How many checks passed, of how many. */
function cell(scenario, suite) {
  const found = outcomes.find((outcome) => outcome.scenario === scenario && outcome.suite === suite);
  if (!found) return undefined;
  const { passed, failed, complaints } = found;
  return `${complaints ? 'FAIL ' : failed.length > 0 ? 'expected ' : ''}${passed.length}/${passed.length + failed.length}`;
}

const all = Object.keys(SUITES).flatMap(scenariosOf);
const unknown = expectedFailures.filter(({ suite, scenario }) => !all.some((one) => one.suite === suite && one.scenario === scenario));
for (const { suite, scenario } of unknown) console.log(`FAIL expected-failures.json: there is no ${suite} ${scenario}`);

const chosen = all.filter(({ suite, scenario }) => words.every((word) => `${suite} ${scenario}`.includes(word)));
const queue = [...chosen];
const outcomes = [];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let one; (one = queue.shift()); ) {
      const found = await run(one);
      const complaints = judge(found, expectedOf(one));
      if (complaints) tell(one, found, complaints);
      outcomes.push({ ...one, ...found, complaints });
    }
  }),
);
console.log(table([...new Set(outcomes.map(({ scenario }) => scenario))].sort(), Object.keys(SUITES), cell));
const failed = outcomes.filter(({ complaints }) => complaints).length;
const expected = outcomes.filter((outcome) => !outcome.complaints && outcome.failed.length > 0).length;
console.log(`${outcomes.length - failed - expected} passed, ${expected} failed as expected, ${failed + unknown.length} failed`);
process.exit(failed + unknown.length === 0 && outcomes.length > 0 ? 0 : 1);
