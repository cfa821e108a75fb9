// A host, whatever its client is.
import { setTimeout as sleep } from 'node:timers/promises';
import { endBridge } from '../lib/bridged.mjs';
import { BridgeTransport } from '../lib/transports.mjs';

/** What the hosts have in common: a client, what it has heard, and how the bridge before it is started and ended. */
export class Host {
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

  /** The params of `count` messages of a method, and of fewer if no more come: the Go libraries hand out a result before what came ahead of it. */
  async wired(method, count, ms = 1_000) {
    const seen = () => this.wire.filter((message) => message.method === method);
    for (const end = Date.now() + ms; seen().length < count && Date.now() < end; ) await sleep(10);
    return seen().map(({ params }) => params);
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

  /** The way to a server through a bridge. */
  stdio(command, args, home, env) {
    return new BridgeTransport(command, args, home, env);
  }

  /** Ends the bridge; check(name, complaints) takes what comes of it. */
  end(transport, server, check) {
    this.said = transport.said;
    return endBridge(transport, server, check);
  }

  close() {
    return this.client.close();
  }
}
