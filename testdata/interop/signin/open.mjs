// What mcp-bridge runs to open a page (--browser): hands the address to the Chromium of this run.
//   node open.mjs PORT URL
const [port, url] = process.argv.slice(2);
const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: url });
process.exit(response.ok ? 0 : 1);
