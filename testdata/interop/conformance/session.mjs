// A host's session through one bridge, with the SDK's client of either line.
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { ElicitRequestSchema, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as Client2 } from '@modelcontextprotocol/client';
import { exitOf } from '../lib/children.mjs';

const LIMIT = { timeout: 30_000 };
const EXIT_LIMIT_MS = 5_000;
const INFO = { name: 'mcp-bridge-interop', version: '1.0.0' };

export class Session {
  #era;
  #transport;
  #client;

  /** era: 'handshake' is SDK 1.x; 'modern' is SDK 2.x, which asks for 2026-07-28 first. */
  constructor(era, transport) {
    this.#era = era;
    this.#transport = transport;
  }

  /** answer: what the user says to an elicitation. */
  async connect(capabilities = {}, answer = undefined) {
    const handshake = this.#era === 'handshake';
    const negotiation = { mode: 'auto', probe: { timeoutMs: LIMIT.timeout } };
    this.#client = handshake ? new Client1(INFO, { capabilities }) : new Client2(INFO, { capabilities, versionNegotiation: negotiation });
    if (answer) this.#client.setRequestHandler(handshake ? ElicitRequestSchema : 'elicitation/create', () => answer);
    await this.#client.connect(this.#transport, LIMIT);
  }

  tools = async () => (await this.#client.listTools(undefined, LIMIT)).tools;
  resources = async () => (await this.#client.listResources(undefined, LIMIT)).resources;
  prompts = async () => (await this.#client.listPrompts(undefined, LIMIT)).prompts;
  read = async (uri) => (await this.#client.readResource({ uri }, LIMIT)).contents;
  prompt = (name) => this.#client.getPrompt({ name, arguments: {} }, LIMIT);
  /** A request of an extension. */
  ask = (method, params = {}) => this.#client.request({ method, params }, ResultSchema, LIMIT);

  /** The text of a tool's result. */
  async call(name, args = {}) {
    const params = { name, arguments: args };
    const call = this.#era === 'handshake' ? this.#client.callTool(params, undefined, LIMIT) : this.#client.callTool(params, LIMIT);
    return ((await call).content ?? []).map((block) => block.text ?? '').join('');
  }

  /** Ends the bridge as a host does; returns complaints, if there are any. */
  async end() {
    const { child } = this.#transport;
    if (!child) return ['the bridge did not start'];
    child.stdin.end();
    const exit = await exitOf(child, EXIT_LIMIT_MS);
    if (!exit) child.kill('SIGKILL');
    return [...this.#transport.strayOutput(), ...(exit ? [] : ['the bridge still runs after the end of stdin'])];
  }
}
