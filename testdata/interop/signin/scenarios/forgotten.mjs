// The authorization server has lost its memory: the next call signs in again by itself.
import { signIn } from '../person.mjs';

export const name = 'forgotten';

export async function run({ authServer, browser, chain, check }) {
  const [host, other] = chain.hosts;
  const before = await host.whoAmI();
  authServer.restart();
  const [from, opened] = [authServer.journal.length, browser.opened];

  const asked = host.whoAmI();
  const callback = await signIn(browser, asked, { account: 'grace' });
  const me = await asked;
  check('the call is answered after another sign-in', me.account === 'grace', JSON.stringify(me));
  check('the callback page says that it worked', callback.status === 200 && /signed in/i.test(callback.text), callback.text);
  const clients = authServer.clients(from);
  check('with a new client', clients.length === 1 && me.client === clients[0] && me.client !== before.client,
    `${clients.length} clients, ${before.client} before, ${me.client} now`);
  check('through one page', browser.opened === opened + 1, `${browser.opened - opened} pages`);

  const second = await other.whoAmI();
  check('another bridge goes on with the new login', second.account === 'grace' && second.client === me.client, JSON.stringify(second));
  check('without a page or a client of its own', browser.opened === opened + 1 && authServer.clients(from).length === 1,
    `${browser.opened - opened} pages, ${authServer.clients(from).length} clients`);
}
