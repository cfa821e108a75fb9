// While the user signs in, connections grow old. Servers and proxies end them without a word.
import { complaints } from '../bridges.mjs';
import { signIn } from '../person.mjs';

export const name = 'stale connection';

export async function run({ authServer, mcpServer, browser, bridges, check }) {
  authServer.policy.hangUp = true;
  const host = bridges.relay(mcpServer.url, bridges.newHome());
  const connected = host.connect();
  const outcome = connected.then(() => 'connected', (error) => error.message);
  const callback = await signIn(browser, connected);
  check('the code is exchanged all the same', (await outcome) === 'connected', await outcome);
  check('and the callback page says that it worked', callback.status === 200, callback.text);
  check('the bridge ends with its input', ...complaints(await host.end()));
}
