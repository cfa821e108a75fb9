// The hosts: the official clients of both lines, behind one small interface.
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as HTTP1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { SSEClientTransport as SSE1 } from '@modelcontextprotocol/sdk/client/sse.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Client as Client2, StreamableHTTPClientTransport as HTTP2 } from '@modelcontextprotocol/client';

const INFO = { name: 'mcp-bridge-interop', version: '1.0.0' };
const CAPABILITIES = { roots: {}, sampling: {}, elicitation: { form: {}, url: {} } };

const ROOTS = { roots: [{ uri: 'file:///a', name: 'a' }, { uri: 'file:///b', name: 'b' }] };
const SAMPLE = { role: 'assistant', model: 'interop-model', stopReason: 'endTurn', content: { type: 'text', text: 'a fixed answer' } };
const elicited = ({ mode, message, requestedSchema }) => {
  if (mode === 'url') return { action: 'accept' };
  const name = message === 'Second?' ? 'Bob' : 'Ada';
  const asked = Object.keys(requestedSchema.properties);
  return { action: 'accept', content: asked.includes('name') ? { name } : {} };
};

const CHANGED = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';
const MESSAGE = 'notifications/message';

class Host {
  /** Notifications from the server, oldest first. */
  heard = [];
  /** Every message from the server, as it came: the clients let go of progress that comes with the result. */
  wire = [];
  #waiting = new Set();

  note(notification) {
    this.heard.push(notification);
    for (const look of this.#waiting) look();
  }

  /** Resolves to the params of the first notification of this method. */
  hear(method, ms = 8_000) {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = () => {
        const found = this.heard.find((n) => n.method === method);
        if (!found) return;
        stop();
        resolve(found.params ?? {});
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`no ${method} within ${ms} ms`));
      }, ms);
      this.#waiting.add(look);
      look();
    });
  }

  forget() {
    this.heard = [];
    this.wire = [];
  }

  /** The clients call this before their own reader. */
  watch(transport) {
    transport.onmessage = (message) => this.wire.push(message);
    return transport;
  }

  close() {
    return this.client.close();
  }
}

/** SDK 1.x: a handshake, and nothing else. */
class Handshake1 extends Host {
  era = 'handshake';

  constructor() {
    super();
    this.client = new Client1(INFO, { capabilities: CAPABILITIES });
    this.client.setRequestHandler(ListRootsRequestSchema, () => ROOTS);
    this.client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLE);
    this.client.setRequestHandler(ElicitRequestSchema, ({ params }) => elicited(params));
    for (const schema of [LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema]) {
      this.client.setNotificationHandler(schema, (n) => this.note(n));
    }
  }

  http = (url) => (url.pathname === '/sse' ? new SSE1(url) : new HTTP1(url));
  call = (name, args = {}, options = {}) => this.client.callTool({ name, arguments: args }, undefined, options);
  complete = (params) => this.client.complete(params);

  async connect(transport) {
    await this.client.connect(this.watch(transport));
    return this.client.getServerCapabilities();
  }

  async logs(level, call) {
    await this.client.setLoggingLevel(level);
    return call({});
  }

  async subscribe({ uri }) {
    if (uri) await this.client.subscribeResource({ uri });
    return async () => uri && this.client.unsubscribeResource({ uri });
  }
}

/** SDK 2.x: `mode` is its negotiation, which makes it a host of one era or of both. */
class Host2 extends Host {
  constructor(mode) {
    super();
    this.client = new Client2(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode, probe: { timeoutMs: 20_000 } } });
    this.client.setRequestHandler('roots/list', () => ROOTS);
    this.client.setRequestHandler('sampling/createMessage', () => SAMPLE);
    this.client.setRequestHandler('elicitation/create', ({ params }) => elicited(params));
    for (const method of [MESSAGE, UPDATED, CHANGED]) this.client.setNotificationHandler(method, (n) => this.note(n));
  }

  get era() {
    return this.client.getProtocolEra() === 'modern' ? 'modern' : 'handshake';
  }

  http = (url) => new HTTP2(url);
  call = (name, args = {}, { meta, ...options } = {}) => this.client.callTool({ name, arguments: args, ...(meta && { _meta: meta }) }, options);
  complete = (params) => this.client.complete(params);

  async connect(transport) {
    await this.client.connect(this.watch(transport));
    return this.client.getServerCapabilities();
  }

  async logs(level, call) {
    if (this.era === 'modern') return call({ meta: { 'io.modelcontextprotocol/logLevel': level } });
    await this.client.setLoggingLevel(level);
    return call({});
  }

  async subscribe({ uri, tools }) {
    if (this.era === 'modern') {
      const subscription = await this.client.listen({ ...(tools && { toolsListChanged: true }), ...(uri && { resourceSubscriptions: [uri] }) });
      return () => subscription.close();
    }
    if (uri) await this.client.subscribeResource({ uri });
    return async () => uri && this.client.unsubscribeResource({ uri });
  }
}

/** By name; `modern` are those that speak 2026-07-28 with whoever does. */
export const HOSTS = {
  'SDK 1.x': { make: () => new Handshake1(), era: 'handshake' },
  'SDK 2.x handshake': { make: () => new Host2('legacy'), era: 'handshake' },
  'SDK 2.x dual': { make: () => new Host2('auto'), era: 'modern' },
  'SDK 2.x modern': { make: () => new Host2({ pin: '2026-07-28' }), era: 'modern' },
};
