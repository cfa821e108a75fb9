// The npm packages, as users get them: published to a registry on loopback, installed and run by npm.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { answer, dist, folder, mcpServer, must, question, run, start, version } from "./helper.mjs";

const release = join(dirname(fileURLToPath(import.meta.url)), "..");
const platform = `${process.platform}-${process.arch}`;
const work = folder();
const packages = join(work, "packages");
const installed = join(work, "installed");
const launcher = join(installed, "node_modules", "mcp-bridge", "mcp-bridge.js");
let npm; // the options that npm runs with
let stopRegistry = () => {};

before(async () => {
  await must("node", [join(release, "npm.mjs"), dist, packages]);
  const tarballs = join(work, "tarballs");
  mkdirSync(tarballs);
  const offline = { env: npmEnv("http://127.0.0.1:1"), cwd: work };
  const packed = JSON.parse(
    await must("npm", ["pack", "--json", "--pack-destination", tarballs, ...readdirSync(packages).map((name) => join(packages, name))], offline),
  );
  npm = { env: npmEnv(await registry(tarballs, Object.values(packed))), cwd: installed };
  mkdirSync(installed);
  writeFileSync(join(installed, "package.json"), "{}");
  await must("npm", ["install", "mcp-bridge"], npm);
});
after(() => stopRegistry());

// npmEnv keeps npm from all but the registry, and from what it does besides.
function npmEnv(registry) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const config = { registry, cache: join(work, "cache"), userconfig: join(work, "npmrc"), audit: false, fund: false, update_notifier: false };
  for (const [name, value] of Object.entries(config)) env[`npm_config_${name}`] = String(value);
  return { ...env, MCP_BRIDGE_HOME: join(work, "home") };
}

// registry serves packed packages as npm's does, as far as installing goes.
async function registry(tarballs, packed) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url);
    const tarball = packed.find(({ filename }) => path === `/-/${filename}`);
    if (tarball) return response.end(readFileSync(join(tarballs, tarball.filename)));
    const found = packed.find(({ name }) => path === `/${name}`);
    if (!found) return response.writeHead(404).end("{}");
    const bytes = readFileSync(join(tarballs, found.filename));
    const folder = join(packages, found.name.replace("@mcp-bridge/", ""));
    const manifest = {
      ...JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
      dist: {
        tarball: `http://${request.headers.host}/-/${found.filename}`,
        integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
      },
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name: found.name, "dist-tags": { latest: version }, versions: { [version]: manifest } }));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  stopRegistry = () => (server.close(), server.closeAllConnections());
  return `http://127.0.0.1:${server.address().port}/`;
}

test("there is a package for each system and processor, and one that needs them all", () => {
  const platforms = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-arm64", "win32-x64"];
  assert.deepEqual(readdirSync(packages).sort(), [...platforms, "mcp-bridge"].sort());
  const manifest = JSON.parse(readFileSync(join(packages, "mcp-bridge", "package.json"), "utf8"));
  assert.deepEqual(Object.keys(manifest.optionalDependencies).sort(), platforms.map((name) => `@mcp-bridge/${name}`));
  for (const release of Object.values(manifest.optionalDependencies)) assert.equal(release, version);
});

test("npm installs the program of this machine alone, with its licences", () => {
  const scope = join(installed, "node_modules", "@mcp-bridge");
  assert.deepEqual(readdirSync(scope), [platform]);
  for (const name of ["LICENSE", "THIRD_PARTY_LICENSES"]) assert.ok(existsSync(join(scope, platform, name)), name);
});

test("npx gets the program and relays, with one word changed in a configuration", async () => {
  const elsewhere = { ...npm, cwd: folder() };
  assert.equal(await must("npx", ["-y", "mcp-bridge", "--version"], elsewhere), `mcp-bridge v${version}\n`);
  const { url } = await mcpServer();
  assert.equal(await must("npx", ["-y", "mcp-bridge", url], { ...elsewhere, input: question + "\n" }), answer + "\n");
});

// Newer Nodes become the program, others start it beside themselves.
const alone = join(work, "alone.cjs");
writeFileSync(alone, "process.execve = undefined;\n");
for (const [way, options] of [["as Node does it", []], ["without execve", ["--require", alone]]]) {
  const launch = (...args) => [...options, launcher, ...args];

  test(`messages pass as they are, and the end of the input ends it (${way})`, async () => {
    const { url } = await mcpServer();
    const result = await run("node", launch(url), { ...npm, input: question + "\n" });
    assert.deepEqual(result, { code: 0, signal: null, stdout: answer + "\n", stderr: "" });
  });

  test(`the exit code is the program's (${way})`, async () => {
    const { code, stdout, stderr } = await run("node", launch("--nonsense"), npm);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^mcp-bridge: unknown flag --nonsense /);
  });

  for (const signal of ["SIGTERM", "SIGINT"]) {
    test(`${signal} ends the program as if it had got it itself (${way})`, { skip: process.platform === "win32" }, async () => {
      const { url } = await mcpServer();
      const { child, ended, line } = start("node", launch(url), npm);
      child.stdin.write(question + "\n");
      assert.equal(await line(), answer);
      const children = process.platform === "linux" ? readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ") : [];
      child.kill(signal); // the input stays open
      assert.deepEqual(await ended, { code: 0, signal: null, stdout: answer + "\n", stderr: "" });
      for (const pid of children.filter(Boolean)) assert.ok(!existsSync(`/proc/${pid}`), `process ${pid} is left`);
    });
  }

  test(`it ends as the program does (${way})`, { skip: process.platform === "win32" }, async () => {
    const dies = stub("#!/bin/sh\nkill -KILL $$\n", 0o755);
    assert.equal((await run("node", [...options, dies])).signal, "SIGKILL");
    const fails = stub("#!/bin/sh\nexit 7\n", 0o755);
    assert.equal((await run("node", [...options, fails])).code, 7);
  });

  test(`a program that can't be started is named (${way})`, { skip: process.platform === "win32" }, async () => {
    const { code, stdout, stderr } = await run("node", [...options, stub("", 0o644)]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^mcp-bridge: error: cannot start \S+: EACCES\nmcp-bridge: install the package again\n$/);
  });
}

test("without the program's package it says what to do", async () => {
  const bare = folder();
  cpSync(launcher, join(bare, "mcp-bridge.js"));
  const { code, stdout, stderr } = await run("node", [join(bare, "mcp-bridge.js"), "https://example.com/mcp"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.equal(stderr.split("\n").length, 3); // two lines
  assert.match(stderr, new RegExp(`the package @mcp-bridge/${platform} is not installed`));
});

// stub returns a launcher that finds a program of these bytes.
function stub(program, mode) {
  const dir = folder();
  const bin = join(dir, "node_modules", "@mcp-bridge", platform, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "mcp-bridge"), program);
  chmodSync(join(bin, "mcp-bridge"), mode);
  cpSync(launcher, join(dir, "mcp-bridge.js"));
  return join(dir, "mcp-bridge.js");
}
