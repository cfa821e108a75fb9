// The user does not agree.
import path from 'node:path';
import { complaints } from '../bridges.mjs';
import { signIn } from '../person.mjs';
import { checkHeaders } from './first.mjs';

const AT_ONCE_MS = 3_000;
const PROVIDERS_WORDS = /End-User aborted interaction/;

export const name = 'refusal';

export async function run({ mcpServer, browser, bridges, screenshots, check }) {
  const host = bridges.relay(mcpServer.url, bridges.newHome());
  const opened = browser.opened;
  const connected = host.connect();
  const failed = connected.then(
    () => ({ message: 'none: initialize was answered' }),
    (error) => ({ message: error.message, at: Date.now() }),
  );
  const picture = path.join(screenshots, 'refused.png');
  const callback = await signIn(browser, connected, { agree: false, picture });
  const seen = Date.now();
  console.log(`screenshot ${picture}`);
  const error = await failed;
  check("the host gets an error with the provider's words", PROVIDERS_WORDS.test(error.message), error.message);
  check('at once', error.at - seen < AT_ONCE_MS, `${error.at - seen} ms after the page`);
  check('the callback page says that it failed, and why', /failed/.test(callback.text) && PROVIDERS_WORDS.test(callback.text), callback.text);
  checkHeaders(callback.headers, check);
  check('it loads nothing else', callback.requests.length === 1, ...callback.requests.slice(1));
  check('one page is opened', browser.opened === opened + 1, `${browser.opened - opened} pages`);
  check('the bridge ends with its input', ...complaints(await host.end()));
}
