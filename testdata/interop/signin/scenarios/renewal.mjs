// Tokens end while nobody looks: they are renewed, once, and nobody is asked.
import { setTimeout as sleep } from 'node:timers/promises';
import { complaints } from '../bridges.mjs';

export const name = 'renewal';

export async function run(world) {
  await expired(world);
  await twoBridges(world);
  await refused(world);
}

/** Waits until the last token that was issued has ended. */
async function untilExpired(authServer) {
  const { access_token: last } = authServer.journal.findLast((entry) => entry.reply.access_token).reply;
  const { exp } = await authServer.accessToken(last);
  await sleep(exp * 1000 - Date.now() + 100); // the server counts whole seconds
}

async function expired({ authServer, browser, chain, check }) {
  await untilExpired(authServer);
  authServer.policy.lifetime = 3;
  const [from, opened] = [authServer.journal.length, browser.opened];
  const me = await chain.host.whoAmI();
  check('the call after a token has expired is answered', me.account === 'ada', JSON.stringify(me));
  const refreshes = authServer.grants('refresh', from);
  check('by one refresh', refreshes.length === 1 && refreshes[0].status === 200, ...refreshes.map(shown));
  check('with the resource', refreshes[0]?.params.resource === authServer.grants('code')[0].params.resource, refreshes[0]?.params.resource);
  check('which rotates the refresh token', refreshes[0]?.reply.refresh_token && refreshes[0].reply.refresh_token !== refreshes[0].params.refresh_token);
  check('and no page', browser.opened === opened, `${browser.opened - opened} pages`);
  check('the bridge ends with its input', ...complaints(await chain.host.end()));
}

async function twoBridges({ authServer, mcpServer, browser, bridges, chain, check }) {
  await untilExpired(authServer);
  authServer.policy.lifetime = 3600;
  const [from, opened] = [authServer.journal.length, browser.opened];
  chain.hosts = [bridges.relay(mcpServer.url, chain.home), bridges.relay(mcpServer.url, chain.home)];
  const answers = await Promise.all(chain.hosts.map(async (host) => {
    await host.connect();
    return host.whoAmI();
  }));
  check('two bridges at once with an expired token are both answered', answers.every((me) => me.account === 'ada'), JSON.stringify(answers));
  const refreshes = authServer.grants('refresh', from);
  check('by one refresh between them', refreshes.length === 1 && refreshes[0].status === 200, ...refreshes.map(shown));
  check('and no page again', browser.opened === opened, `${browser.opened - opened} pages`);
}

/** A minute is what a token lives at Keycloak, if nobody says otherwise. */
async function refused({ authServer, chain, check }) {
  authServer.policy.lifetime = 60;
  const last = authServer.grants('refresh').at(-1).reply.access_token;
  await (await authServer.accessToken(last)).destroy();
  const from = authServer.journal.length;
  const me = await chain.hosts[0].whoAmI();
  check('the call after a token has been withdrawn is answered', me.account === 'ada', JSON.stringify(me));
  for (let i = 0; i < 5; i++) await chain.hosts[0].whoAmI();
  const refreshes = authServer.grants('refresh', from);
  check('tokens that live a minute are not renewed at every call', refreshes.length === 1, `${refreshes.length} refreshes for 6 calls`);
}

function shown({ status, reply }) {
  return `${status} ${reply.error ?? ''} ${reply.error_description ?? ''}`.trim();
}
