// The handshake, pings, and the roots, which the server asks for by itself after the handshake.
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';

export const initialize = {
  name: 'initialize',
  valueOnly: true,
  async run(session) {
    await session.connect();
    return { answer: session.heard[0], instructions: session.client.getInstructions() };
  },
};

export const ping = { name: 'ping', run: ({ client }) => client.ping() };

export const unknownMethod = {
  name: 'unknown method',
  fails: true,
  run: ({ client }) => client.request({ method: 'interop/no-such-method', params: { a: 1 } }, ResultSchema),
};

export const lifecycle = [
  initialize,
  {
    name: 'roots/list from the server',
    valueOnly: true,
    async run(session) {
      // It asks once, 350 ms after the handshake, and over streamable HTTP nobody hears it if the GET
      // stream is not open yet. Then the tool makes it ask again. It logs that it has the answer.
      const log = () => session.hear('notifications/message', { ever: true });
      await log().catch(() => {});
      const result = await session.callTool('get-roots-list');
      await session.hear('roots/list', { ever: true });
      return { result, log: (await log())[0] };
    },
  },
  {
    name: 'notifications/tools/list_changed',
    valueOnly: true,
    // The server sends these before a client of streamable HTTP can have opened its GET stream:
    // there it is chance whether they arrive.
    run: async ({ server, heard }) =>
      server === 'sse' && heard.filter(({ method }) => method === 'notifications/tools/list_changed').length,
  },
  ping,
  {
    name: 'notifications/roots/list_changed',
    async run(session) {
      session.roots.push({ uri: 'file:///srv/third' });
      await session.client.sendRootsListChanged();
      await session.hear('roots/list');
      await session.hear('notifications/message');
      return session.callTool('get-roots-list');
    },
  },
  unknownMethod,
];
