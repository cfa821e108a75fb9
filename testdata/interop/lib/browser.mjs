// What mcp-bridge runs to open a page (--browser): a browser without a window whose user is signed in
// and agrees to everything. It follows redirects until there are none left, on loopback only.
//   node browser.mjs URL
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const MAX_REDIRECTS = 10;

let url = new URL(process.argv[2]);
for (let i = 0; i <= MAX_REDIRECTS; i++) {
  if (!/^https?:$/.test(url.protocol) || !LOOPBACK.test(url.hostname)) throw new Error(`not on loopback: ${url.host}`);
  const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(15_000) });
  await response.text();
  const location = response.headers.get('location');
  if (!location || response.status < 300 || response.status > 399) break;
  url = new URL(location, url);
}
