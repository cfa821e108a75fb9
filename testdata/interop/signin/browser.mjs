// A real Chromium without a window, and the way in which a bridge hands it a page.
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Pages may ask for fonts and the like; nothing is fetched from beyond loopback.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
];
const START_LIMIT_MS = 30_000;
const ACTION_LIMIT_MS = 20_000;
const END_LIMIT_MS = 3_000;
const REMOVE = { recursive: true, force: true, maxRetries: 10 };

export class Browser {
  /** How many pages have been opened by bridges. */
  opened = 0;
  #pages = [];
  #door = http.createServer((req, res) => this.#take(req, res));
  #profile = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-chromium-'));

  async start() {
    // For a run that is given up; Playwright ends Chromium itself then.
    process.on('exit', () => fs.rmSync(this.#profile, REMOVE));
    await once(this.#door.listen(0, '127.0.0.1'), 'listening');
    // For --browser. It is split at colons, so it holds a port instead of a URL.
    this.command = `${process.execPath} ${fileURLToPath(new URL('open.mjs', import.meta.url))} ${this.#door.address().port}`;
    this.context = await chromium.launchPersistentContext(this.#profile, {
      executablePath: EXECUTABLE,
      args: FLAGS,
      headless: true,
      timeout: START_LIMIT_MS,
    });
    this.context.setDefaultTimeout(ACTION_LIMIT_MS);
  }

  /** Ends it, and returns what is left of it a little later. */
  async stop() {
    this.#door.close();
    this.#door.closeAllConnections();
    await this.context?.close();
    for (const end = Date.now() + END_LIMIT_MS; Date.now() < end && this.#processes().length > 0; ) await sleep(50);
    fs.rmSync(this.#profile, REMOVE);
    return this.#processes();
  }

  /** Every process that works in our profile's folder (Linux). */
  #processes() {
    if (!fs.existsSync('/proc/self/cmdline')) return [];
    const commandLine = (pid) => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return ''; // it has ended meanwhile
      }
    };
    return fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(this.#profile));
  }

  /** Forgets the pages that nobody has taken. */
  dropPages() {
    this.#pages = [];
  }

  async #take(req, res) {
    let url = '';
    for await (const text of req.setEncoding('utf8')) url += text;
    this.opened++;
    this.#pages.push(url);
    res.end();
  }

  /** The next page that a bridge opens, or has opened and nobody has taken yet. */
  async nextPage(ms = ACTION_LIMIT_MS) {
    for (const end = Date.now() + ms; this.#pages.length === 0; await sleep(20)) {
      if (Date.now() > end) throw new Error(`no page was opened within ${ms} ms`);
    }
    return this.#pages.shift();
  }
}
