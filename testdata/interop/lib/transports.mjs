// The two ways from the SDK's client to a server: its own HTTP transports, or stdio to a bridge.
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { own } from './children.mjs';

/** Straight to the server, by its name in server.mjs. */
export function directTransport(server, url) {
  if (server === 'sse') return new SSEClientTransport(url);
  // The SDK takes an error for no answer and reconnects after a second, and the everything server
  // then sends all again: two faults that make a noise, and neither is a bridge's.
  const reconnects = server === 'polling' ? 2 : 0;
  return new StreamableHTTPClientTransport(url, {
    reconnectionOptions: { initialReconnectionDelay: 1000, maxReconnectionDelay: 1000, reconnectionDelayGrowFactor: 1, maxRetries: reconnects },
  });
}

/** Through a bridge; keeps the bridge's process, all it wrote to stdout, and all it said. */
export class BridgeTransport extends StdioClientTransport {
  child;
  stdout = '';
  said = '';

  constructor(command, args, home, env = {}) {
    super({ command, args, env: { HOME: home, ...env }, cwd: home, stderr: 'pipe' });
    this.stderr.setEncoding('utf8').on('data', (text) => (this.said += text));
  }

  async start() {
    await super.start();
    this.child = own(this._process);
    const decoder = new TextDecoder('utf-8', { fatal: false });
    this.child.stdout.on('data', (chunk) => (this.stdout += decoder.decode(chunk, { stream: true })));
  }

  /** What on stdout is no JSON-RPC message on a line of its own, as a list of complaints. */
  strayOutput() {
    const lines = this.stdout.split('\n');
    const complaints = [];
    const last = lines.pop();
    if (last !== '') complaints.push(`no newline at the end: ${last.slice(0, 200)}`);
    for (const line of lines) {
      if (!isMessage(line)) complaints.push(`no JSON-RPC message: ${JSON.stringify(line.slice(0, 200))}`);
    }
    return complaints;
  }
}

function isMessage(line) {
  try {
    return JSON.parse(line).jsonrpc === '2.0' && !line.endsWith('\r');
  } catch {
    return false;
  }
}
