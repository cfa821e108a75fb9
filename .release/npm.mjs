// Makes the npm packages out of what GoReleaser has built: node .release/npm.mjs DIST OUT
//
// OUT gets a folder for each package: one for each system and processor, which holds the program and is
// installed there alone, and mcp-bridge, which starts it. Publish the latter last, as it needs the others.
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [dist, out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node .release/npm.mjs DIST OUT");
  process.exit(2);
}

const readJSON = (file) => JSON.parse(readFileSync(join(dist, file), "utf8"));
const { version } = readJSON("metadata.json");
const programs = readJSON("artifacts.json").filter(({ type, goarch }) => type === "Binary" && goarch !== "all");
if (programs.length === 0) throw new Error(`${dist} holds no programs`);

// What Node calls what Go calls otherwise.
const systems = { linux: "linux", darwin: "darwin", windows: "win32" };
const processors = { amd64: "x64", arm64: "arm64" };

const common = {
  version,
  license: "MIT",
  repository: { type: "git", url: `git+https://github.com/${process.env.GITHUB_REPOSITORY ?? "mcp-bridge/mcp-bridge"}.git` },
};

rmSync(out, { recursive: true, force: true });
const optionalDependencies = {};
for (const { goos, goarch, path, name: file } of programs) {
  const os = systems[goos];
  const cpu = processors[goarch];
  if (!os || !cpu) throw new Error(`no npm package is planned for ${goos}/${goarch}`);
  const name = `@mcp-bridge/${os}-${cpu}`;
  const folder = join(out, `${os}-${cpu}`);
  writePackage(folder, {
    name,
    ...common,
    description: `The program mcp-bridge for ${os} on ${cpu}; install mcp-bridge, which chooses`,
    os: [os],
    cpu: [cpu],
    files: ["bin", "THIRD_PARTY_LICENSES"],
    preferUnplugged: true, // a program in a zip file can't be started
  });
  mkdirSync(join(folder, "bin"));
  cpSync(join(dist, "..", path), join(folder, "bin", file));
  chmodSync(join(folder, "bin", file), 0o755);
  cpSync(join(here, "out", "THIRD_PARTY_LICENSES"), join(folder, "THIRD_PARTY_LICENSES"));
  writeFileSync(join(folder, "README.md"), `The program of [mcp-bridge](https://www.npmjs.com/package/mcp-bridge) for ${os} on ${cpu}.\n`);
  optionalDependencies[name] = version;
}

const launcher = join(out, "mcp-bridge");
writePackage(launcher, {
  name: "mcp-bridge",
  ...common,
  description: "Connects MCP hosts that speak stdio to MCP servers that speak HTTP, and signs in",
  keywords: ["mcp", "model-context-protocol", "mcp-remote", "stdio", "streamable-http", "oauth"],
  bin: { "mcp-bridge": "mcp-bridge.js" },
  files: ["mcp-bridge.js"],
  engines: { node: ">=18" },
  optionalDependencies,
});
for (const file of ["mcp-bridge.js", "README.md"]) cpSync(join(here, "npm", file), join(launcher, file));
chmodSync(join(launcher, "mcp-bridge.js"), 0o755);

function writePackage(folder, manifest) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2) + "\n");
  cpSync(join(here, "..", "LICENSE"), join(folder, "LICENSE"));
}
