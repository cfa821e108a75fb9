// What a host does with one of our servers (goserver, ts2server.mjs), and what must come of it,
// whatever eras host and server are of. Each step returns `want`.
import assert from 'node:assert/strict';

const TEXT = 'line\nbreak "quotes" \\ \u2028 é 世界 🌍 <b>&amp;</b>';
const text = ({ content: [block], isError }) => (isError ? `error: ${block.text}` : block.text);

export const scenario = [
  {
    name: 'capabilities and instructions',
    run: ({ capabilities, host }) => ({
      tools: Boolean(capabilities.tools),
      subscribe: Boolean(capabilities.resources?.subscribe),
      logging: Boolean(capabilities.logging),
      tasks: 'tasks' in capabilities,
      instructions: host.client.getInstructions(),
    }),
    want: { tools: true, subscribe: true, logging: true, tasks: false, instructions: 'Be kind' },
  },
  {
    name: 'tools/list',
    run: async ({ host }) => (await host.client.listTools()).tools.map(({ name }) => name).sort(),
    want: ['ask', 'ask-all', 'change', 'echo', 'fail', 'header', 'log', 'progress', 'rounds', 'touch', 'wait'],
  },
  { name: 'tools/call', run: async ({ host }) => text(await host.call('echo', { text: TEXT })), want: TEXT },
  {
    // A server that is strict compares the argument with the header.
    name: 'tools/call with a header of an argument',
    run: async ({ host }) => [text(await host.call('header', { region: 'eu west' })), text(await host.call('header', { region: ' é <b> ' }))],
    want: ['region=eu west', 'region= é <b> '],
  },
  { name: 'tools/call that fails', run: async ({ host }) => text(await host.call('fail')), want: 'error: no luck' },
  {
    name: 'tools/call of 20 at once',
    run: async ({ host }) => {
      const texts = await Promise.all(Array.from({ length: 20 }, (_, i) => host.call('echo', { text: `${i}` }).then(text)));
      return texts.join();
    },
    want: Array.from({ length: 20 }, (_, i) => i).join(),
  },
  {
    name: 'progress',
    async run({ host }) {
      await host.call('progress', {}, { onprogress() {} });
      return host.wire.filter(({ method }) => method === 'notifications/progress').map(({ params }) => `${params.progress}/${params.total}`);
    },
    want: ['1/3', '2/3', '3/3'],
  },
  {
    name: 'logs',
    async run({ host }) {
      const result = await host.logs('warning', (options) => host.call('log', {}, options));
      const { level, data } = await host.hear('notifications/message');
      return [text(result), level, data];
    },
    want: ['logged', 'warning', 'a warning'],
  },
  { name: 'elicitation', run: async ({ host }) => text(await host.call('ask')), want: 'accept Ada' },
  { name: 'elicitation, sampling and roots at once', run: async ({ host }) => text(await host.call('ask-all')), want: 'Ada, a fixed answer, 2 roots' },
  { name: 'two rounds of questions', run: async ({ host }) => text(await host.call('rounds')), want: 'Ada and Bob' },
  {
    name: 'resources',
    async run({ host: { client } }) {
      const list = (await client.listResources()).resources.map(({ uri }) => uri).sort();
      const templates = (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate);
      const read = async (uri) => (await client.readResource({ uri })).contents[0].text;
      return [...list, ...templates, await read('test://static'), await read('test://template/7')];
    },
    want: ['test://static', 'test://watched', 'test://template/{id}', 'text of test://static', 'text of test://template/7'],
  },
  {
    name: 'a resource that is not there',
    run: ({ host: { client } }) => client.readResource({ uri: 'test://nowhere/at/all' }).then(() => 'it is there', ({ code }) => code),
    want: -32602,
    same: (got) => got === -32602 || got === -32002,
  },
  {
    name: 'prompts',
    async run({ host: { client } }) {
      const [{ name }] = (await client.listPrompts()).prompts;
      const { messages } = await client.getPrompt({ name, arguments: { name: 'Zoë' } });
      return [name, messages[0].content.text];
    },
    want: ['greet', 'Hello Zoë'],
  },
  {
    name: 'completion',
    run: async ({ host }) =>
      (await host.complete({ ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'name', value: 'A' } })).completion.values,
    want: ['Ada', 'Alan'],
  },
  {
    name: 'a change of the tools is told',
    async run({ host }) {
      const stop = await host.subscribe({ tools: true });
      host.forget();
      await host.call('change');
      await host.hear('notifications/tools/list_changed');
      await stop();
      return 'told';
    },
    want: 'told',
  },
  {
    name: 'a change of a resource is told',
    async run({ host }) {
      const stop = await host.subscribe({ uri: 'test://watched' });
      host.forget();
      await host.call('touch');
      const { uri } = await host.hear('notifications/resources/updated');
      await stop();
      return uri;
    },
    want: 'test://watched',
  },
  {
    name: 'a call is cancelled',
    async run({ host }) {
      const stop = new AbortController();
      const rejected = assert.rejects(host.call('wait', {}, { signal: stop.signal }), /no longer wanted/);
      rejected.catch(() => {}); // it is waited for below
      await host.call('echo', { text: 'meanwhile' });
      stop.abort('no longer wanted');
      await rejected;
      return text(await host.call('echo', { text: 'after' }));
    },
    want: 'after',
  },
];
