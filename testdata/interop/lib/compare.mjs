// Whether a step came out the same on both ways to the server.

const WIDTH = 160;

/** Returns undefined if it did, and otherwise lines that say how it did not. */
export function difference(step, direct, bridged) {
  if (!direct) return ['the direct connection did not get here'];
  if (!bridged) return ['the bridge did not get here'];
  if (direct.error && !step.fails) return ['failed on the direct connection:', ...told(direct.error)];
  if (bridged.error && !step.fails) return ['failed through the bridge:', ...told(bridged.error)];
  if (step.fails && !direct.error) return ['should have failed on the direct connection'];
  return firstDifference(render(direct), render(bridged));
}

function told({ code, message, data }) {
  return [...`${code ?? ''} ${message}`.trim().split('\n'), ...(data === undefined ? [] : render(data))];
}

/** One member or element a line, in the order the server sent them. */
function render(value) {
  return JSON.stringify(value, null, 1).split('\n');
}

function firstDifference(direct, bridged) {
  let row = 0;
  while (row < direct.length && direct[row] === bridged[row]) row++;
  if (row === direct.length && row === bridged.length) return undefined;
  const [a = '', b = ''] = [direct[row], bridged[row]];
  let column = 0;
  while (column < a.length && a[column] === b[column]) column++;
  const from = Math.max(0, row - 3);
  const show = (lines) => lines.slice(from, row + 2).map((line, i) => part(line, from + i === row ? column : 0));
  return ['direct:', ...show(direct), 'bridge:', ...show(bridged)];
}

/** Of a long line, what stands around a column. */
function part(line, column) {
  const from = Math.max(0, column - WIDTH / 2);
  const cut = line.slice(from, from + WIDTH);
  return `${from > 0 ? '…' : ''}${cut}${from + WIDTH < line.length ? '…' : ''}`;
}
