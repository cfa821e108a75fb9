// The bundle, read by the code that Claude Desktop reads it with.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";

import { answer, dist, folder, mcpServer, must, question, run, version } from "./helper.mjs";

const mcpb = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules", ".bin", "mcpb");
const bundle = join(dist, `mcp-bridge_${version}.mcpb`);
const unpacked = folder();
let manifest;

before(async () => {
  await must(mcpb, ["unpack", bundle, unpacked]);
  manifest = JSON.parse(readFileSync(join(unpacked, "manifest.json"), "utf8"));
});

test("the manifest keeps the rules", async () => {
  assert.match(await must(mcpb, ["validate", join(unpacked, "manifest.json")]), /validation passes/);
  assert.equal(manifest.version, version);
});

// The first bytes of a program for each system, and its processors.
const kinds = {
  linux: (bytes) => bytes.subarray(0, 4).toString("latin1") === "\x7fELF" && bytes.readUInt16LE(18) === 62, // x86-64
  darwin: (bytes) => bytes.readUInt32BE(0) === 0xcafebabe && bytes.readUInt32BE(4) === 2, // universal, of two
  win32: (bytes) => bytes.subarray(0, 2).toString() === "MZ" && bytes.readUInt16LE(bytes.readUInt32LE(0x3c) + 4) === 0x8664,
};

test("each system finds a program of its own", async () => {
  assert.deepEqual(manifest.compatibility.platforms.slice().sort(), Object.keys(kinds).sort());
  for (const [platform, fits] of Object.entries(kinds)) {
    const { command } = await config({ url: "https://example.com/mcp" }, platform);
    assert.ok(fits(readFileSync(command)), `${command} is no program for ${platform}`);
    assert.ok(statSync(command).mode & 0o100, `${command} can't be executed`);
  }
});

test("without an address it does not start", async () => {
  assert.equal(await config({}), undefined);
  assert.equal(await config({ url: "" }), undefined);
});

const runs = process.platform === "linux" && process.arch === "x64";

test("it relays to the address", { skip: !runs }, async () => {
  const { url, heads } = await mcpServer();
  const result = await launch(await config({ url }));
  assert.deepEqual(result, { code: 0, signal: null, stdout: answer + "\n", stderr: "" });
  assert.equal(heads[0].authorization, undefined);
});

test("it sends the header", { skip: !runs }, async () => {
  const { url, heads } = await mcpServer();
  assert.equal((await launch(await config({ url, header: "X-Key: one two" }))).code, 0);
  assert.equal(heads[0]["x-key"], "one two");
});

test("it allows plain http only when told", { skip: !runs }, async () => {
  const url = "http://192.0.2.1/mcp";
  const refused = await launch(await config({ url }));
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /--allow-http/);
  // Allowed, it would go there, so see only that it is told.
  assert.equal((await config({ url, allow_http: true })).env.MCP_BRIDGE_ALLOW_HTTP, "true");
});

// config returns the command that Claude Desktop would start, with what the user has entered.
async function config(userConfig, platform = process.platform) {
  const real = process.platform;
  Object.defineProperty(process, "platform", { value: platform });
  try {
    return await getMcpConfigForManifest({ manifest, extensionPath: unpacked, systemDirs: {}, userConfig, pathSeparator: "/" });
  } finally {
    Object.defineProperty(process, "platform", { value: real });
  }
}

function launch({ command, args, env }) {
  return run(command, args, { env: { ...process.env, ...env, MCP_BRIDGE_HOME: folder() }, input: question + "\n" });
}
