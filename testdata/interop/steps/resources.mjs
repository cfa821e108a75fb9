// Resources: listed, templated, made by a tool, subscribed to.
import assert from 'node:assert/strict';

const DOCUMENT = 'demo://resource/static/document/features.md';
const DYNAMIC = 'demo://resource/dynamic/text/1';
const DATA = `data:text/plain;base64,${Buffer.from('zip me, 世界 '.repeat(500)).toString('base64')}`;

export const resources = [
  { name: 'resources/list', run: ({ client }) => client.listResources() },
  { name: 'resources/templates/list', run: ({ client }) => client.listResourceTemplates() },
  {
    name: 'resources/read every resource',
    async run({ client }) {
      const { resources } = await client.listResources();
      assert.ok(resources.length > 0, 'the server lists no resources');
      const read = [];
      for (const { uri } of resources) read.push(await client.readResource({ uri }));
      return read;
    },
  },
  ...['text/1', 'text/42', 'blob/1', 'blob/9007199254740991'].map((id) => ({
    name: `resources/read dynamic ${id}`,
    run: ({ client }) => client.readResource({ uri: `demo://resource/dynamic/${id}` }),
  })),
  { name: 'resources/read dynamic text/zero', fails: true, run: ({ client }) => client.readResource({ uri: 'demo://resource/dynamic/text/zero' }) },
  { name: 'resources/read unknown', fails: true, run: ({ client }) => client.readResource({ uri: 'demo://nowhere/ünknown' }) },
  {
    name: 'tools/call gzip-file-as-resource',
    run: (session) => session.callTool('gzip-file-as-resource', { name: 'a.gz', data: DATA, outputType: 'resource' }),
    settle: (session) => session.hear('notifications/resources/list_changed'),
  },
  {
    name: 'tools/call gzip-file-as-resource link',
    run: (session) => session.callTool('gzip-file-as-resource', { name: 'b.gz', data: DATA, outputType: 'resourceLink' }),
    settle: (session) => session.hear('notifications/resources/list_changed'),
  },
  {
    name: 'resources/read made by a tool',
    async run({ client }) {
      const { resources } = await client.listResources();
      assert.ok(resources.some(({ uri }) => uri === 'demo://resource/session/b.gz'), 'b.gz is not listed');
      return client.readResource({ uri: 'demo://resource/session/b.gz' });
    },
  },
  ...[DOCUMENT, DYNAMIC].map((uri) => ({
    name: `resources/subscribe ${uri}`,
    run: ({ client }) => client.subscribeResource({ uri }),
    settle: (session) => session.hear('notifications/message'),
  })),
  {
    name: 'tools/call toggle-subscriber-updates on',
    run: (session) => session.callTool('toggle-subscriber-updates'),
    settle: (session) => session.hear('notifications/resources/updated', { count: 2 }),
  },
  { name: 'tools/call toggle-subscriber-updates off', run: (session) => session.callTool('toggle-subscriber-updates') },
  {
    name: 'resources/unsubscribe',
    run: ({ client }) => client.unsubscribeResource({ uri: DYNAMIC }),
    settle: (session) => session.hear('notifications/message'),
  },
  {
    name: 'notifications/resources/updated after unsubscribe',
    async run(session) {
      await session.callTool('toggle-subscriber-updates');
      await session.hear('notifications/resources/updated');
      await session.callTool('toggle-subscriber-updates');
    },
  },
];
