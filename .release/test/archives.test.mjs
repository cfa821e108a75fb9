// What people download, and what Homebrew and Scoop are told of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

import { unzipSync } from "fflate";

import { artifacts, dist, folder, must, version } from "./helper.mjs";

const targets = ["darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"];
const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const archives = artifacts("Archive");
const named = (target) => archives.find(({ goos, goarch }) => `${goos}_${goarch}` === target).path;

async function contents(archive) {
  if (archive.endsWith(".zip")) return Object.keys(unzipSync(readFileSync(archive)));
  return (await must("tar", ["tzf", archive])).trim().split("\n");
}

test("each system and processor has an archive with all that belongs to the program", async () => {
  assert.deepEqual(archives.map(({ goos, goarch }) => `${goos}_${goarch}`).sort(), targets);
  for (const { goos, path } of archives) {
    assert.deepEqual((await contents(path)).sort(), [
      "LICENSE", "README.md", "THIRD_PARTY_LICENSES",
      ...["bash", "fish", "ps1", "zsh"].map((shell) => `completions/mcp-bridge.${shell}`),
      "mcp-bridge.1", goos === "windows" ? "mcp-bridge.exe" : "mcp-bridge",
    ].sort(), basename(path));
  }
});

test("checksums.txt has every file of the release", () => {
  const sums = Object.fromEntries(
    readFileSync(join(dist, "checksums.txt"), "utf8").trim().split("\n").map((line) => line.split(/ +/).reverse()),
  );
  const released = readdirSync(dist).filter((name) => /\.(tar\.gz|zip|cdx\.json|mcpb)$/.test(name));
  assert.equal(released.length, 13); // six archives, six bills of materials, one bundle
  assert.deepEqual(Object.keys(sums).sort(), released.sort());
  for (const [name, sum] of Object.entries(sums)) assert.equal(sum, sha256(join(dist, name)), name);
});

test("each bill of materials names the modules that the program names", async () => {
  for (const { goos, goarch, path } of artifacts("Binary").filter((a) => a.goarch !== "all")) {
    const info = await must("go", ["version", "-m", path]);
    const linked = [...info.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)].map(([, name, release]) => `${name} ${release}`);
    assert.ok(linked.length > 5, info);
    const bill = JSON.parse(readFileSync(join(dist, `mcp-bridge_${version}_${goos}_${goarch}.cdx.json`), "utf8"));
    const listed = bill.components.map((c) => `${c.name} ${c.version}`).filter((c) => !c.startsWith("std "));
    assert.deepEqual(listed.sort(), linked.sort());
  }
});

test("the licences of all modules are there", async () => {
  const texts = await must("tar", ["xzOf", named("linux_amd64"), "THIRD_PARTY_LICENSES"]);
  for (const { path } of artifacts("Binary").filter((a) => a.goarch !== "all")) {
    for (const [, name, release] of (await must("go", ["version", "-m", path])).matchAll(/^\tdep\t(\S+)\t(\S+)/gm)) {
      assert.ok(texts.includes(`\n${name} ${release} (`), `${name} is in ${path}, but not in THIRD_PARTY_LICENSES`);
    }
  }
});

test("the program says which it is", async () => {
  const { commit } = JSON.parse(readFileSync(join(dist, "metadata.json"), "utf8"));
  const here = artifacts("Binary").find(({ goos, goarch }) => goos === goOS() && goarch === goArch()).path;
  assert.equal(await must(here, ["--version"]), `mcp-bridge v${version}\n`);
  const said = await must(here, ["version"]);
  assert.match(said, new RegExp(`^commit    ${commit}$`, "m"));
  assert.match(said, new RegExp(`^platform  ${goOS()}/${goArch()}$`, "m"));
});

test("the man page has every flag, and groff finds no fault in it", async () => {
  const dir = folder();
  await must("tar", ["xzf", named("linux_amd64"), "-C", dir]);
  const groff = spawnSync("groff", ["-man", "-Tascii", "-P-cbou", "-ww", join(dir, "mcp-bridge.1")], { encoding: "utf8" });
  assert.equal(groff.error, undefined);
  assert.equal(groff.stderr, "");
  const page = groff.stdout.replace(/\s+/g, " ");
  const help = await must(join(dir, "mcp-bridge"), ["--help"]);
  const flags = help.match(/^  --[a-z0-9-]+/gm);
  assert.ok(flags.length > 30);
  for (const flag of flags) assert.ok(page.includes(` ${flag.trim()} `), flag);
});

test("the completions are good shell", async () => {
  const dir = folder();
  await must("tar", ["xzf", named("linux_amd64"), "-C", dir]);
  await must("bash", ["-n", join(dir, "completions", "mcp-bridge.bash")]);
});

test("the Homebrew cask names what is in the archives, with their checksums", async () => {
  const cask = readFileSync(join(dist, "homebrew", "Casks", "mcp-bridge.rb"), "utf8");
  for (const target of targets.filter((t) => !t.startsWith("windows"))) {
    const url = `mcp-bridge_#{version}_${target}.tar.gz"`;
    const stanza = cask.slice(cask.indexOf(url), cask.indexOf(url) + 200);
    assert.ok(stanza.includes(`sha256 "${sha256(named(target))}"`), target);
  }
  const files = await contents(named("darwin_arm64"));
  const told = [...cask.matchAll(/^  (?:binary|manpage|\w+_completion) "(.*)"$/gm)].map(([, file]) => file);
  assert.equal(told.length, 5);
  for (const file of told) assert.ok(files.includes(file), file);
});

test("the Scoop manifest names what is in the archives, with their checksums", async () => {
  const { architecture, license } = JSON.parse(readFileSync(join(dist, "scoop", "mcp-bridge.json"), "utf8"));
  assert.equal(license, "MIT");
  for (const [scoop, target] of [["64bit", "windows_amd64"], ["arm64", "windows_arm64"]]) {
    assert.equal(architecture[scoop].hash, sha256(named(target)));
    assert.ok(architecture[scoop].url.endsWith(`/${basename(named(target))}`));
    assert.ok((await contents(named(target))).includes(architecture[scoop].bin[0]));
  }
});

function goOS() {
  return { win32: "windows" }[process.platform] ?? process.platform;
}

function goArch() {
  return { x64: "amd64" }[process.arch] ?? process.arch;
}
