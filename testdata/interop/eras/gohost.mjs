// A host made of the client of a Go library: goserver/host, which starts the bridge itself.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { checkSessions } from '../lib/bridged.mjs';
import { exitOf, own } from '../lib/children.mjs';
import { Host } from './host.mjs';

const CLOSE_LIMIT_MS = 10_000;
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';

export class GoHost extends Host {
  said = '';
  #library;
  #revision;
  #listens;
  #child;
  #initialized;
  #exit;
  #waiting = new Map();
  #requests = 0;

  /** revision: one with a handshake, or 'any'. listens: the library wants to be told what to listen to. */
  constructor(program, library, revision, { listens = false } = {}) {
    super();
    this.#library = [program, library];
    this.#revision = revision;
    this.#listens = listens;
  }

  // What the scenarios call is named as it is in the SDK's client.
  client = {
    getInstructions: () => this.#initialized.instructions,
    listTools: () => this.#ask('tools/list'),
    listResources: () => this.#ask('resources/list'),
    listResourceTemplates: () => this.#ask('resources/templates/list'),
    readResource: (params) => this.#ask('resources/read', params),
    listPrompts: () => this.#ask('prompts/list'),
    getPrompt: (params) => this.#ask('prompts/get', params),
  };

  get era() {
    return this.#initialized.protocolVersion < '2026' ? 'handshake' : 'modern';
  }

  http = (url) => ({ command: [url.href] });
  stdio = (command, args, home, env) => ({ command: [command, ...args], home, env });
  complete = (params) => this.#ask('completion/complete', params);

  async connect({ command, home, env }) {
    const [program, library] = this.#library;
    this.#child = own(spawn(program, [library, this.#revision, ...command], { cwd: home, env: { PATH: process.env.PATH, HOME: home, ...env }, stdio: 'pipe' }));
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.said += text));
    createInterface(this.#child.stdout).on('line', (line) => this.#take(JSON.parse(line)));
    this.#child.once('exit', () => this.#waiting.forEach(({ reject }) => reject(new Error('the host has ended'))));
    this.#initialized = await this.#answer(0);
    return this.#initialized.capabilities;
  }

  call(name, args = {}, { signal, onprogress, meta } = {}) {
    const _meta = { ...meta, ...(onprogress && { progressToken: `token-${this.#requests}` }) };
    return this.#ask('tools/call', { name, arguments: args, ...(Object.keys(_meta).length > 0 && { _meta }) }, signal);
  }

  async logs(level, call) {
    if (this.era === 'modern') return call({ meta: { [LOG_LEVEL]: level } });
    await this.#ask('logging/setLevel', { level });
    return call({});
  }

  async subscribe({ uri, tools }) {
    if (this.era === 'modern' && this.#listens) {
      await this.#ask('subscriptions/listen', { notifications: { ...(tools && { toolsListChanged: true }), ...(uri && { resourceSubscriptions: [uri] }) } });
      return async () => {};
    }
    if (uri) await this.#ask('resources/subscribe', { uri });
    return async () => uri && this.#ask('resources/unsubscribe', { uri });
  }

  /** Ends the session, and with it the bridge. */
  async end(_, server, check) {
    this.#child.stdin.end();
    const ended = await exitOf(this.#child, CLOSE_LIMIT_MS);
    const how = ended ? `the bridge ended with ${this.#exit}` : 'the host still runs';
    check('exits with 0 at the end of stdin', this.#exit === 0 ? undefined : [how, ...this.said.split('\n').slice(-5)]);
    await checkSessions(server, check);
  }

  async close() {
    this.#child.kill('SIGKILL');
  }

  #ask(method, params = {}, signal = undefined) {
    const id = ++this.#requests;
    this.#write({ id, method, params });
    const answer = this.#answer(id);
    if (!signal) return answer;
    const given = new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        this.#write({ cancel: id });
        reject(new Error(signal.reason));
      });
    });
    return Promise.race([answer, given]);
  }

  #write(line) {
    this.#child.stdin.write(`${JSON.stringify(line)}\n`);
  }

  #answer(id) {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #take({ id, result, error, method, params, exit }) {
    if (exit !== undefined) this.#exit = exit;
    if (method) {
      this.wire.push({ method, params });
      this.note({ method, params });
    }
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    if (error) waiting.reject(Object.assign(new Error(error.message), { code: error.code }));
    else waiting.resolve(result);
  }
}
