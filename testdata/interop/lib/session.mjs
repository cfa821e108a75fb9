// One client's session with one server, and all that the server sent in it.
import { newHost } from './host.mjs';

const HEAR_LIMIT_MS = 8_000;

export class Session {
  roots = [
    { uri: 'file:///home/ada/engine', name: 'engine' },
    { uri: 'file:///home/ada/notes%20%C3%BC', name: 'notes ü' },
  ];
  client = newHost(this.roots);
  /** Every message from the server, oldest first. */
  heard = [];
  called = new Set();
  #waiting = new Set();
  #begin = 0;

  /** server is its name in server.mjs. */
  constructor(server, transport) {
    this.server = server;
    this.transport = transport;
  }

  async connect() {
    // The client calls this before its own reader.
    this.transport.onmessage = (message) => {
      this.heard.push(message);
      for (const look of this.#waiting) look();
    };
    await this.client.connect(this.transport);
  }

  callTool(name, args = {}, options = undefined) {
    this.called.add(name);
    return this.client.callTool({ name, arguments: args }, undefined, options);
  }

  /** Messages from the server since this step began. */
  get recent() {
    return this.heard.slice(this.#begin);
  }

  beginStep() {
    this.#begin = this.heard.length;
  }

  /**
   * Waits until the server has sent `count` messages of this method since the step began, or ever;
   * resolves to the params of all there are.
   */
  hear(method, { count = 1, matches = () => true, ever = false } = {}) {
    const begin = ever ? 0 : this.#begin;
    const found = () => this.heard.slice(begin).filter((m) => m.method === method && matches(m.params));
    return new Promise((resolve, reject) => {
      const look = () => {
        if (found().length < count) return;
        stop();
        resolve(found().map((m) => m.params));
      };
      const timer = setTimeout(() => {
        stop();
        reject(new Error(`${found().length} of ${count} ${method} within ${HEAR_LIMIT_MS} ms`));
      }, HEAR_LIMIT_MS);
      const stop = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
