// The servers of the eras run. Each is started fresh, on a free port of loopback.
import { execFileSync, fork, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { own } from '../lib/children.mjs';

const START_LIMIT_MS = 30_000;
const PRELOAD = new URL('../lib/loopback.mjs', import.meta.url).href;
const GOSERVER = fileURLToPath(new URL('../goserver', import.meta.url));

/** By name: the eras that the server speaks, and how it is started. */
export const SERVERS = {
  'SDK 2.x modern': { eras: ['modern'], ts2: 'modern' },
  'SDK 2.x dual': { eras: ['handshake', 'modern'], ts2: 'dual' },
  'mcp-go dual': { eras: ['handshake', 'modern'], go: ['mcp-go'] },
  'mcp-go handshake': { eras: ['handshake'], go: ['mcp-go', '2025-11-25'] },
  'go-sdk modern': { eras: ['modern'], go: ['go-sdk', '2026-07-28'] },
  'go-sdk dual': { eras: ['handshake', 'modern'], go: ['go-sdk'] },
  'go-sdk handshake': { eras: ['handshake'], go: ['go-sdk', '2025-11-25'] },
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
