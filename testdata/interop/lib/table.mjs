/**
 * A table as text: a line for each of rows, a column for each of columns, where there is anything in it;
 * cell(row, column) is what stands there, or undefined.
 */
export function table(rows, columns, cell) {
  const down = rows.filter((row) => columns.some((column) => cell(row, column)));
  const across = columns.filter((column) => rows.some((row) => cell(row, column)));
  const lines = [['', ...across], ...down.map((row) => [row, ...across.map((column) => cell(row, column) ?? '-')])];
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines.map((line) => line.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ').trimEnd()).join('\n');
}
