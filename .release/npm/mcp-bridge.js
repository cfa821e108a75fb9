#!/usr/bin/env node
// Starts the mcp-bridge for this machine, which npm has put beside this package, and gets out of its
// way: standard input, output and error are the program's own, and so are its end and its signals.
"use strict";

const { platform, arch } = process;
const args = process.argv.slice(2);

let program;
try {
  program = require.resolve(`@mcp-bridge/${platform}-${arch}/bin/mcp-bridge${platform === "win32" ? ".exe" : ""}`);
} catch {
  fail(
    `the package @mcp-bridge/${platform}-${arch} is not installed`,
    "install without --omit=optional; if there is no such package, get the program from the project's releases",
  );
}

// Where it can, this process becomes the program (Node 22.15, not on Windows): no second process stays.
if (process.execve) {
  try {
    require("node:fs").accessSync(program, 1); // execve ends the process without a word if it fails
    process.execve(program, [program, ...args]);
  } catch {
    // What is wrong shows below.
  }
}

const child = require("node:child_process").spawn(program, args, { stdio: "inherit" });
child.on("error", (err) => fail(`cannot start ${program}: ${err.code}`, "install the package again"));

// A terminal sends Ctrl-C to both; a second SIGINT would end the program before it has said goodbye.
const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
for (const signal of signals) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !require("node:tty").isatty(0)) child.kill(signal);
  });
}
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  for (const s of signals) process.removeAllListeners(s);
  process.kill(process.pid, signal); // ends as the program has
});

function fail(what, todo) {
  process.stderr.write(`mcp-bridge: error: ${what}\nmcp-bridge: ${todo}\n`);
  process.exit(1);
}
