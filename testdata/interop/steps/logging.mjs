// Log messages from the server, which picks one of eight by chance.
import assert from 'node:assert/strict';

export const logging = [
  { name: 'logging/setLevel', run: ({ client }) => client.setLoggingLevel('debug') },
  {
    name: 'notifications/message',
    valueOnly: true,
    async run(session) {
      const on = await session.callTool('toggle-simulated-logging');
      const [{ level, data }] = await session.hear('notifications/message');
      assert.match(data, new RegExp(`^${level}[- ]level[- ]message`, 'i'));
      const off = await session.callTool('toggle-simulated-logging');
      return { on, off };
    },
  },
  {
    name: 'logging/setLevel silences',
    async run(session) {
      await session.client.setLoggingLevel('emergency');
      // Subscribing is logged at level info, so nothing must come now.
      await session.client.subscribeResource({ uri: 'demo://resource/dynamic/text/7' });
      await session.client.ping();
      await session.client.setLoggingLevel('info');
    },
  },
  { name: 'logging/setLevel to no level', fails: true, run: ({ client }) => client.setLoggingLevel('loud') },
];
