// What is kept, and how it ends.
import { complaints } from '../bridges.mjs';

export const name = 'status and logout';

export async function run({ authServer, mcpServer, bridges, chain, check }) {
  for (const host of chain.hosts) check('the bridge ends with its input', ...complaints(await host.end()));
  const token = authServer.grants('code').at(-1).reply;

  const status = bridges.command(['status'], chain.home, { flags: false });
  check('status works', (await status.end()) === 0, status.said);
  for (const [what, text] of [['server', mcpServer.url.href], ['issuer', authServer.issuer], ['scope', 'mcp:tools']]) {
    check(`it shows the ${what}`, status.stdout.includes(text), status.stdout);
  }
  const shown = [...authServer.secrets].filter((secret) => status.stdout.includes(secret));
  check('it shows no secret', shown.length === 0, ...shown);

  check('the token is accepted before the logout', (await call(mcpServer.url, token.access_token)) !== 401);
  const from = authServer.journal.length;
  const logout = bridges.command(['logout', mcpServer.url.href], chain.home);
  check('logout works', (await logout.end()) === 0, logout.said);
  const revoked = authServer.requests('revocation', from);
  check('it revokes the refresh token', revoked.some((r) => r.status === 200 && r.params.token === token.refresh_token),
    ...revoked.map((r) => `${r.params.token_type_hint} ${r.status}`), `${revoked.length} requests`);
  check('the token is not accepted any more', (await call(mcpServer.url, token.access_token)) === 401);

  const after = bridges.command(['status'], chain.home, { flags: false });
  check('no login is left', (await after.end()) === 0 && !after.stdout.includes(mcpServer.url.href), after.stdout);
}

/** The HTTP status of a request with that token. */
async function call(url, token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  });
  await response.body?.cancel();
  return response.status;
}
