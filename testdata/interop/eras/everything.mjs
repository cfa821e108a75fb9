// What a host does with @modelcontextprotocol/server-everything, which is of the era with a handshake.
import assert from 'node:assert/strict';

const text = ({ content, isError }) => `${isError ? 'error: ' : ''}${content.map((block) => block.text ?? block.type).join('\n')}`;

export const everything = [
  {
    name: 'capabilities',
    run: ({ capabilities }) => ['tools', 'prompts', 'resources', 'logging', 'completions'].filter((name) => capabilities[name]),
    want: ['tools', 'prompts', 'resources', 'logging', 'completions'],
  },
  {
    name: 'tools/list',
    run: async ({ host }) => (await host.client.listTools()).tools.map(({ name }) => name).includes('echo'),
    want: true,
  },
  { name: 'echo', run: async ({ host }) => text(await host.call('echo', { message: 'é 世界 🌍' })), want: 'Echo: é 世界 🌍' },
  { name: 'echo of 1.2 MB', run: async ({ host }) => text(await host.call('echo', { message: '界'.repeat(400_000) })).length, want: 400_006 },
  {
    name: 'structured content',
    run: async ({ host }) => Object.keys((await host.call('get-structured-content', { location: 'Chicago' })).structuredContent).sort(),
    want: ['conditions', 'humidity', 'temperature'],
  },
  {
    name: 'elicitation',
    run: async ({ host }) => text(await host.call('trigger-elicitation-request')).includes('Ada'),
    want: true,
  },
  {
    name: 'sampling',
    run: async ({ host }) => text(await host.call('trigger-sampling-request', { prompt: 'hi', maxTokens: 5 })).includes('a fixed answer'),
    want: true,
  },
  {
    name: 'url elicitation',
    run: async ({ host }) => text(await host.call('trigger-url-elicitation', { url: 'https://example.com/', message: 'go' })).includes('accept'),
    want: true,
  },
  {
    name: 'roots',
    run: async ({ host }) => text(await host.call('get-roots-list')).includes('file:///a'),
    want: true,
  },
  {
    name: 'progress',
    async run({ host }) {
      const result = await host.call('trigger-long-running-operation', { duration: 0.3, steps: 3 }, { onprogress() {} });
      return [text(result).includes('completed'), (await host.wired('notifications/progress', 2)).map(({ progress }) => progress).slice(0, 2)];
    },
    want: [true, [1, 2]],
  },
  {
    name: 'a tool that runs as a task',
    async run({ host }) {
      // Only the task runs it: a plain call is refused by the server.
      if (host.era === 'handshake') return true;
      return text(await host.call('simulate-research-query', { topic: 'bridges' })).includes('bridges');
    },
    want: true,
  },
  {
    name: 'a task that asks',
    async run({ host }) {
      if (host.era === 'handshake') return true;
      return text(await host.call('simulate-research-query', { topic: 'Python', ambiguous: true })).includes('Python');
    },
    want: true,
  },
  {
    name: 'a resource that is told of',
    async run({ host }) {
      const uri = 'demo://resource/dynamic/text/1';
      const stop = await host.subscribe({ uri });
      await host.call('toggle-subscriber-updates');
      const told = await host.hear('notifications/resources/updated');
      await host.call('toggle-subscriber-updates');
      await stop();
      return told.uri;
    },
    want: 'demo://resource/dynamic/text/1',
  },
  {
    name: 'resources',
    async run({ host: { client } }) {
      const { resources } = await client.listResources();
      const read = await client.readResource({ uri: resources[0].uri });
      return resources.length > 0 && read.contents.length > 0;
    },
    want: true,
  },
  {
    name: 'a resource that is not there',
    run: ({ host: { client } }) => client.readResource({ uri: 'demo://nowhere' }).then(() => 'it is there', ({ code }) => code),
    want: -32602,
  },
  {
    name: 'prompts',
    run: async ({ host: { client } }) =>
      (await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Zürich' } })).messages[0].content.text.includes('Zürich'),
    want: true,
  },
  {
    name: 'completion',
    run: async ({ host }) =>
      (await host.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'S' } })).completion.values,
    want: ['Sales', 'Support'],
  },
  {
    name: 'a call is cancelled',
    async run({ host }) {
      const stop = new AbortController();
      const rejected = assert.rejects(host.call('trigger-long-running-operation', { duration: 1, steps: 2 }, { signal: stop.signal }), /no longer wanted/);
      rejected.catch(() => {}); // it is waited for below
      stop.abort('no longer wanted');
      await rejected;
      return text(await host.call('echo', { message: 'after' }));
    },
    want: 'Echo: after',
  },
];
