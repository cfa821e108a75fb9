// No browser here: the code is entered in another one.
import { complaints } from '../bridges.mjs';
import { enterCode } from '../person.mjs';

export const name = 'device code';

export async function run({ authServer, mcpServer, browser, bridges, check }) {
  await browser.context.clearCookies(); // nobody is signed in
  const home = bridges.newHome();
  const [from, opened] = [authServer.journal.length, browser.opened];
  const login = bridges.command(['login', mcpServer.url.href, '--device-code'], home);
  const [, url, code] = await login.says(/go to (http\S+) and enter the code (\S+)/);
  const text = await enterCode(browser, url, code, 'lin');
  check('the code is accepted', /successful/.test(text), text);
  check('login ends well', (await login.end()) === 0, login.said);
  check('by the device grant', authServer.grants('device', from).at(-1)?.status === 200, ...authServer.grants('device', from).map((r) => `${r.status} ${r.reply.error ?? ''}`));
  check('and opens no page', browser.opened === opened, `${browser.opened - opened} pages`);

  const host = bridges.relay(mcpServer.url, home, ['--device-code']);
  await host.connect();
  const me = await host.whoAmI();
  check('a bridge uses that login', me.account === 'lin', JSON.stringify(me));
  check('the bridge ends with its input', ...complaints(await host.end()));
}
