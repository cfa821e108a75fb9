// The authorization server has lost its memory, and there is no refresh token by which to notice: only
// the sign-in page says that it does not know the client, and the user should not be the one to read that.
import { complaints } from '../bridges.mjs';
import { signIn } from '../person.mjs';

export const name = 'unknown client';

export async function run({ authServer, mcpServer, browser, bridges, check }) {
  authServer.policy.refreshTokens = 'none';
  const host = bridges.relay(mcpServer.url, bridges.newHome());
  const connected = host.connect();
  await signIn(browser, connected);
  await connected;

  authServer.restart();
  const [from, opened] = [authServer.journal.length, browser.opened];
  const asked = host.whoAmI();
  await signIn(browser, asked, { account: 'grace' });
  const me = await asked;
  check('the next call signs in again', me.account === 'grace', JSON.stringify(me));
  const clients = authServer.clients(from);
  check('with a new client', clients.length === 1 && me.client === clients[0], `${clients.length} clients`);
  check('and the old one does not reach the browser', browser.opened === opened + 1, `${browser.opened - opened} pages`);
  check('the bridge ends with its input', ...complaints(await host.end()));
}
