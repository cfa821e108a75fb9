// The container image, as far as that can be seen without a container engine.
import assert from "node:assert/strict";
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { validate } from "dockerfile-utils";

import { answer, artifacts, folder, mcpServer, question, run } from "./helper.mjs";

const dockerfile = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "..", "Dockerfile"), "utf8");

test("the Dockerfile has no fault, and a user without rights", () => {
  assert.deepEqual(validate(dockerfile), []);
  assert.match(dockerfile, /^FROM gcr\.io\/distroless\/static-\S+:nonroot$/m);
});

const root = process.platform === "linux" && process.getuid() === 0;

test("the program runs where there is nothing else, as a user without rights", { skip: !root && "needs root" }, async () => {
  const arch = { x64: "amd64" }[process.arch] ?? process.arch;
  const program = artifacts("Binary").find((a) => a.goos === "linux" && a.goarch === arch).path;
  // The base image has these two folders, and beside them only what says who people and authorities are.
  const image = folder();
  const home = join(image, "home", "nonroot");
  for (const dir of [join(image, "usr", "bin"), join(image, "tmp"), home]) mkdirSync(dir, { recursive: true });
  chmodSync(image, 0o755);
  chmodSync(join(image, "tmp"), 0o1777);
  chownSync(home, 65532, 65532);
  cpSync(program, join(image, "usr", "bin", "mcp-bridge"));
  const options = { env: { PATH: process.env.PATH, HOME: "/home/nonroot" }, input: question + "\n" };
  const inside = (...args) => run("chroot", ["--userspec=65532:65532", image, "/usr/bin/mcp-bridge", ...args], options);
  const { url } = await mcpServer();
  assert.deepEqual(await inside(url), { code: 0, signal: null, stdout: answer + "\n", stderr: "" });
  assert.match((await inside("status")).stdout, / \/home\/nonroot\/\.config\/mcp-bridge\n/);
});
