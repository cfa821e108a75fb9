// Every process that a run starts, so that none outlives it.
const running = new Set();

/** Takes charge of a child: it is killed when this process ends, if it still runs then. */
export function own(child) {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Resolves to { code, signal } when the child has ended, or to undefined after `ms`. */
export function exitOf(child, ms) {
  const ended = () => ({ code: child.exitCode, signal: child.signalCode });
  if (child.exitCode !== null || child.signalCode !== null) return ended();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve(ended());
    });
  });
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
