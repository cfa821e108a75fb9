// The servers of a run: pinned programs from npm, each started fresh on a free port of loopback.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { own } from './children.mjs';

const EVERYTHING = '@modelcontextprotocol/server-everything/dist/index.js';
const EXAMPLES = '@modelcontextprotocol/sdk/examples/server';

/** begun and ended find what a server's log says of sessions, where it says anything. */
const SERVERS = {
  streamable: {
    program: EVERYTHING,
    args: ['streamableHttp'],
    path: '/mcp',
    begun: /^Session initialized with ID/gm,
    ended: /^Received session termination request/gm,
  },
  sse: { program: EVERYTHING, args: ['sse'], path: '/sse', begun: /^Client Connected/gm, ended: /^Client Disconnected/gm },
  // Answers as application/json; GET is answered 405, DELETE 404.
  json: { program: `${EXAMPLES}/jsonResponseStreamableHttp.js`, path: '/mcp', begun: /^Session initialized with ID/gm },
  // No session id; GET and DELETE are answered 405.
  stateless: { program: `${EXAMPLES}/simpleStatelessStreamableHttp.js`, path: '/mcp', ended: /^Received DELETE/gm, sessions: 0 },
  // Hangs up in the middle of a call; the answer waits for a GET with Last-Event-ID.
  polling: { program: `${EXAMPLES}/ssePollingExample.js`, path: '/mcp', begun: /Session initialized$/gm, ended: /Transport closed/gm },
};

const PRELOAD = new URL('loopback.mjs', import.meta.url).href;
const START_LIMIT_MS = 30_000;

/** Starts a server by its name above. */
export async function startServer(name) {
  const { program, args = [], path, begun, ended, sessions = 1 } = SERVERS[name];
  const child = own(
    fork(fileURLToPath(import.meta.resolve(program)), args, {
      execArgv: ['--import', PRELOAD],
      silent: true,
      // The get-env tool shows all of it, so it is the same for every server.
      env: { PATH: process.env.PATH, GREETING: 'grüß dich, 世界 🌍' },
    }),
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));

  const port = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`server ${name} ${why}\n${output}`));
    const timer = setTimeout(() => fail(`did not listen within ${START_LIMIT_MS} ms`), START_LIMIT_MS);
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
    child.once('message', (message) => {
      clearTimeout(timer);
      resolve(message.port);
    });
  });

  const counter = (pattern) => pattern && (() => output.match(pattern)?.length ?? 0);
  return {
    url: new URL(`http://127.0.0.1:${port}${path}`),
    /** How many sessions one client should have. */
    sessions,
    /** How many have begun and ended by now; undefined where the server does not say. */
    begun: counter(begun),
    ended: counter(ended),
    stop: () => child.kill('SIGKILL'),
  };
}
