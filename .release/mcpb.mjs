// Makes the bundle for Claude Desktop out of what GoReleaser has built:
// node .release/mcpb.mjs DIST VERSION UNIX-TIME
//
// GoReleaser calls it when the last program is there. The same programs and time give the same bytes.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { zipSync } from "fflate";

const here = dirname(fileURLToPath(import.meta.url));
const [dist, version, time] = process.argv.slice(2);
if (!time) {
  console.error("usage: node .release/mcpb.mjs DIST VERSION UNIX-TIME");
  process.exit(2);
}
process.env.TZ = "UTC"; // zip files hold local time

const manifest = JSON.parse(readFileSync(join(here, "mcpb", "manifest.json"), "utf8"));
manifest.version = version;
manifest.repository = { type: "git", url: `https://github.com/${process.env.GITHUB_REPOSITORY ?? "mcp-bridge/mcp-bridge"}` };

// A manifest tells systems apart, not processors: both kinds of Mac share a universal program, Windows
// on Arm runs the one for x64, and on Linux the bundle is for x64.
const text = (content) => [typeof content === "string" ? new TextEncoder().encode(content) : content, { os: 3, attrs: 0o100644 << 16 }];
const program = (folder, file) => [readFileSync(join(dist, built(folder), file)), { os: 3, attrs: 0o100755 << 16 }];
const files = {
  "manifest.json": text(JSON.stringify(manifest, null, 2) + "\n"),
  LICENSE: text(readFileSync(join(here, "..", "LICENSE"))),
  THIRD_PARTY_LICENSES: text(readFileSync(join(here, "out", "THIRD_PARTY_LICENSES"))),
  "server/mcp-bridge-linux": program("mcp-bridge_linux_amd64", "mcp-bridge"),
  "server/mcp-bridge-darwin": program("universal_darwin_all", "mcp-bridge"),
  "server/mcp-bridge.exe": program("mcp-bridge_windows_amd64", "mcp-bridge.exe"),
};
writeFileSync(join(dist, `mcp-bridge_${version}.mcpb`), zipSync(files, { mtime: new Date(time * 1000) }));

// built returns GoReleaser's folder for a target, to whose name it adds the processor's variant.
function built(target) {
  const found = readdirSync(dist).filter((name) => name === target || name.startsWith(`${target}_`));
  if (found.length !== 1) throw new Error(`${dist} holds ${found.length} builds of ${target}, not one`);
  return found[0];
}
