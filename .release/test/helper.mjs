// What the checks of a release share. They are about a release that GoReleaser has made: DIST names its folder.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";

if (!process.env.DIST) throw new Error("DIST does not name the folder of a release");
export const dist = resolve(process.env.DIST);
export const { version } = JSON.parse(readFileSync(join(dist, "metadata.json"), "utf8"));

// artifacts returns what GoReleaser says that it has made, of one type.
export function artifacts(type) {
  const all = JSON.parse(readFileSync(join(dist, "artifacts.json"), "utf8"));
  return all.filter((artifact) => artifact.type === type).map((a) => ({ ...a, path: join(dist, "..", a.path) }));
}

// folder returns a new folder, which goes when the tests of the file are over.
export function folder() {
  const dir = mkdtempSync(join(tmpdir(), "mcp-bridge-release-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// start starts a program. ended resolves to what has become of it; line, to its next line of output.
export function start(command, args, options = {}) {
  const shell = process.platform === "win32" && /^np[mx]$/.test(command); // there they are scripts
  const child = spawn(command, args, { stdio: "pipe", shell, ...options });
  let stdout = "";
  let stderr = "";
  let wake = () => {};
  child.stdout.on("data", (data) => ((stdout += data), wake()));
  child.stderr.on("data", (data) => (stderr += data));
  child.stdin.on("error", () => {}); // a program that has ended reads nothing; ended tells the rest
  const ended = new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (code, signal) => (done({ code, signal, stdout, stderr }), wake()));
  });
  let seen = 0;
  const line = async () => {
    for (;;) {
      const end = stdout.indexOf("\n", seen);
      if (end >= 0) {
        const next = stdout.slice(seen, end);
        seen = end + 1;
        return next;
      }
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended without another line: ${stderr}`);
      await new Promise((done) => (wake = done));
    }
  };
  return { child, ended, line };
}

// run starts a program, gives it an input, and waits for its end.
export function run(command, args, { input = "", ...options } = {}) {
  const { child, ended } = start(command, args, options);
  child.stdin.end(input);
  return ended;
}

// must is run, for what has to work.
export async function must(command, args, options) {
  const result = await run(command, args, options);
  if (result.code !== 0) throw new Error(`${command} ${args.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

// question is a request whose answer would not survive being read as JSON and written again.
export const question = '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping","params":{"_meta":{"a":1.0}}}';
export const answer = '{"id":9007199254740993,"result":{"\\u0061":1.50,"n":12345678901234567890},"jsonrpc":"2.0"}';

// mcpServer starts an MCP server on loopback that knows this one answer. heads are those of the requests it got.
export async function mcpServer() {
  const heads = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    heads.push(request.headers);
    if (request.method !== "POST") return response.writeHead(405).end();
    if (body !== question) return response.writeHead(400).end();
    response.writeHead(200, { "content-type": "application/json" }).end(answer);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  after(() => (server.close(), server.closeAllConnections()));
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, heads };
}
