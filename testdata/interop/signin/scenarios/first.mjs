// Somebody who has never been here: register, sign in, call a tool.
import path from 'node:path';
import { signIn } from '../person.mjs';

const LIFETIME_S = 3;

export const name = 'first sign-in';

export async function run({ authServer, mcpServer, browser, bridges, chain, screenshots, check }) {
  authServer.policy.lifetime = LIFETIME_S;
  chain.home = bridges.newHome();
  chain.host = bridges.relay(mcpServer.url, chain.home);

  const picture = process.env.PICTURE ?? path.join(screenshots, 'signed-in.png');
  const connected = chain.host.connect();
  const callback = await signIn(browser, connected, { picture });
  console.log(`screenshot ${picture}`);
  await connected;
  const issued = Date.now();
  check('initialize is answered after the sign-in', true);

  const tools = await chain.host.toolNames();
  check('tools/list is answered', tools.join() === 'whoami', tools.join());
  const me = await chain.host.whoAmI();
  check('a tool is called in the name of who signed in', me.account === 'ada', JSON.stringify(me));

  checkRequests(authServer, mcpServer, check);
  const elapsed = (Date.now() - issued) / 1000;
  const refreshes = authServer.grants('refresh').length;
  check('a token is not renewed more often than it ends', refreshes <= Math.ceil(elapsed / LIFETIME_S),
    `a token lives ${LIFETIME_S} s; ${refreshes} refreshes within ${elapsed.toFixed(1)} s`);
  check('one page is opened', browser.opened === 1, `${browser.opened} pages`);

  checkPage(callback, check);
}

/** What went to the authorization server. */
function checkRequests(authServer, mcpServer, check) {
  check('one client is registered', authServer.clients().length === 1, `${authServer.clients().length} clients`);
  const { reply: client, sent } = authServer.requests('registration').at(-1);
  check('as a native public client', client.application_type === 'native' && client.token_endpoint_auth_method === 'none', JSON.stringify(sent));
  const { params } = authServer.requests('authorization').at(-1);
  check('the sign-in page is asked for with PKCE, state and resource',
    params.code_challenge_method === 'S256' && params.state?.length >= 22 && params.resource === mcpServer.url.href, Object.keys(params).join(' '));
  const [exchange, ...others] = authServer.grants('code');
  check('one code is exchanged, with verifier and resource',
    exchange?.status === 200 && others.length === 0 && exchange.params.code_verifier && exchange.params.resource === mcpServer.url.href,
    `${1 + others.length} exchanges, the first answered ${exchange?.status}`);
}

function checkPage({ status, headers, title, text, requests }, check) {
  check('the callback page says that it worked', status === 200 && /signed in/i.test(text) && /close this tab/.test(text), `HTTP ${status}: ${text}`);
  check('with a title of its own', /mcp-bridge/.test(title), title);
  checkHeaders(headers, check);
  check('it loads nothing else', requests.length === 1, ...requests.slice(1));
}

export function checkHeaders(headers, check) {
  const wanted = {
    'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
    'cache-control': /no-store/,
    'referrer-policy': /^no-referrer$/,
    'x-content-type-options': /^nosniff$/,
    'content-type': /^text\/html; *charset=utf-8$/,
  };
  const wrong = Object.keys(wanted).filter((header) => !wanted[header].test(headers[header] ?? ''));
  check('its headers are strict', wrong.length === 0, ...wrong.map((header) => `${header}: ${headers[header]}`));
}
