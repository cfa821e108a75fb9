// The bridges and commands of a run, and all that they wrote.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { exitOf, own } from '../lib/children.mjs';
import { BridgeTransport } from '../lib/transports.mjs';

const REQUEST_LIMIT_MS = 30_000;
const EXIT_LIMIT_MS = 5_000;
const COMMAND_LIMIT_MS = 30_000;

export class Bridges {
  /** Every bridge and command so far; each has `stdout` and `said`. */
  all = [];
  #program;
  #browser;
  #homes = [];

  constructor(program, browser) {
    this.#program = program;
    this.#browser = browser;
    process.on('exit', () => this.#homes.forEach((home) => fs.rmSync(home, { recursive: true, force: true })));
  }

  /** A folder without logins. */
  newHome() {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-home-'));
    this.#homes.push(home);
    return home;
  }

  /** A bridge to `url` with a host that has not said anything yet. */
  relay(url, home, args = []) {
    const transport = new BridgeTransport(this.#program, [url.href, ...this.#flags(args)], home, { MCP_BRIDGE_HOME: home });
    this.all.push(transport);
    return new Host(transport);
  }

  /** Runs a command of the bridge's that takes flags, or one that takes none. */
  command(args, home, { flags = true } = {}) {
    const command = new Command(this.#program, flags ? [...args, ...this.#flags([])] : args, home);
    this.all.push(command);
    return command;
  }

  #flags(args) {
    // A real browser may be slow: who waits for it waits for the sign-in.
    return ['--browser', this.#browser.command, '--log-level', 'debug', '--initialize-grace', '0', ...args];
  }
}

/** The SDK's client in front of one bridge. */
class Host {
  #client = new Client({ name: 'interop', version: '1.0.0' });

  constructor(transport) {
    this.transport = transport;
  }

  connect() {
    return this.#client.connect(this.transport, { timeout: REQUEST_LIMIT_MS });
  }

  call(tool) {
    return this.#client.callTool({ name: tool }, undefined, { timeout: REQUEST_LIMIT_MS });
  }

  /** Comes when the server says that its tools have changed. */
  toolsChanged() {
    return new Promise((resolve) => this.#client.setNotificationHandler(ToolListChangedNotificationSchema, resolve));
  }

  async toolNames() {
    const { tools } = await this.#client.listTools(undefined, { timeout: REQUEST_LIMIT_MS });
    return tools.map((tool) => tool.name);
  }

  /** What the server knows about the caller: { account, client, scopes }. */
  async whoAmI() {
    const { content } = await this.#client.callTool({ name: 'whoami' }, undefined, { timeout: REQUEST_LIMIT_MS });
    return JSON.parse(content[0].text);
  }

  /** Ends the bridge as a host does; returns complaints, if there are any. */
  async end() {
    const { child } = this.transport;
    child.stdin.end();
    const exit = await exitOf(child, EXIT_LIMIT_MS);
    if (!exit) child.kill('SIGKILL');
    const complaints = this.transport.strayOutput();
    if (exit?.code !== 0) complaints.push(exit ? `ended with ${exit.signal ?? exit.code}` : 'still running');
    return complaints;
  }
}

/** What check() takes, from what Host.end() returns. */
export function complaints(list) {
  return [list.length === 0, ...list];
}

class Command {
  stdout = '';
  said = '';

  constructor(program, args, home) {
    const env = { PATH: process.env.PATH, HOME: home, MCP_BRIDGE_HOME: home };
    this.child = own(spawn(program, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] }));
    this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.said += text));
    this.#closed = new Promise((resolve) => this.child.once('close', resolve));
  }

  #closed;

  /** The exit code, once everything it wrote has arrived. */
  async end() {
    const exit = await exitOf(this.child, COMMAND_LIMIT_MS);
    if (!exit) this.child.kill('SIGKILL');
    await this.#closed;
    return exit?.code;
  }

  /** The first match in what it says on standard error. */
  async says(pattern, ms = REQUEST_LIMIT_MS) {
    for (const end = Date.now() + ms; Date.now() < end && this.child.exitCode === null; await sleep(20)) {
      const found = this.said.match(pattern);
      if (found) return found;
    }
    throw new Error(`nothing like ${pattern}, but:\n${this.said}`);
  }
}
