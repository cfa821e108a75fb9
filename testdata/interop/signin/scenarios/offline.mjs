// A provider that gives refresh tokens only to those who ask for offline_access with prompt=consent.
import { complaints } from '../bridges.mjs';
import { signIn } from '../person.mjs';

export const name = 'offline_access';

export async function run({ authServer, mcpServer, browser, bridges, check }) {
  authServer.policy.refreshTokens = 'offline_access';
  const from = authServer.journal.length;
  const host = bridges.relay(mcpServer.url, bridges.newHome(), ['--authorize-param', 'prompt=consent']);
  const connected = host.connect();
  await signIn(browser, connected);
  await connected;
  const [{ params }] = authServer.requests('authorization', from);
  const [{ reply }] = authServer.grants('code', from);
  check('it is asked for where the provider lists it', params.scope?.split(' ').includes('offline_access'), params.scope);
  check('--authorize-param prompt=consent brings a refresh token', reply.refresh_token !== undefined, Object.keys(reply).join(' '));
  check('the bridge ends with its input', ...complaints(await host.end()));
}
