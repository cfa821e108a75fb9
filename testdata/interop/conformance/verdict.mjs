// What the suite found in one run of a scenario, and whether that is what we expect.
import fs from 'node:fs';
import path from 'node:path';

const WORSE = ['SUCCESS', 'WARNING', 'FAILURE']; // what is only informed of, or skipped, does not count

/** { passed, failed, messages }: checks by id and name, each once and with its worst outcome, from the suite's folder. */
export function checksIn(folder) {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
  const file = names.find((name) => path.basename(name) === 'checks.json');
  const checks = file ? JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) : [];
  const worst = new Map();
  for (const { id, name, status } of checks) {
    const check = `${id} ${name}`;
    if (WORSE.indexOf(status) > WORSE.indexOf(worst.get(check))) worst.set(check, status);
  }
  const those = (good) => [...worst].filter(([, status]) => (status === 'SUCCESS') === good).map(([check]) => check);
  return {
    passed: those(true),
    failed: those(false),
    messages: checks.filter(({ status }) => WORSE.indexOf(status) > 0).map(({ id, errorMessage, description }) => `${id}: ${errorMessage ?? description}`),
  };
}

/** Complaints about a run, or undefined. code is the suite's exit code, expected an entry of expected-failures.json. */
export function judge({ code, passed, failed }, expected) {
  if (expected) {
    if (code === 0) return ['it passes, and expected-failures.json says that it does not'];
    const [got, want] = [failed, expected.checks].map((checks) => [...checks].sort().join(', '));
    return got === want ? undefined : [`fails in      ${got}`, `and should in ${want}`];
  }
  if (failed.length > 0) return failed;
  if (code !== 0) return ['every check passed, but the client failed'];
  return passed.length > 0 ? undefined : ['the suite checked nothing'];
}
