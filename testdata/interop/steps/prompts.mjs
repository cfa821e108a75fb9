// Prompts, and completion of their arguments and of template variables.
import assert from 'node:assert/strict';

const ARGUMENTS = {
  'simple-prompt': undefined,
  'args-prompt': { city: 'Zürich', state: 'ZH' },
  'completable-prompt': { department: 'Sales', name: 'Eve' },
  'resource-prompt': { resourceType: 'Blob', resourceId: '5' },
};

const COMPLETIONS = [
  ['a department', 'completable-prompt', { name: 'department', value: 'S' }],
  ['a name by its department', 'completable-prompt', { name: 'name', value: '' }, { arguments: { department: 'Engineering' } }],
  ['a name without department', 'completable-prompt', { name: 'name', value: 'A' }],
  ['a resource type', 'resource-prompt', { name: 'resourceType', value: '' }],
  ['an unknown argument', 'resource-prompt', { name: 'nothing', value: '' }],
];

export const prompts = [
  {
    name: 'prompts/list',
    async run({ client }) {
      const list = await client.listPrompts();
      const names = list.prompts.map(({ name }) => name).sort();
      assert.deepEqual(names, Object.keys(ARGUMENTS).sort(), 'the server has other prompts than these steps get');
      return list;
    },
  },
  ...Object.entries(ARGUMENTS).map(([name, args]) => ({
    name: `prompts/get ${name}`,
    run: ({ client }) => client.getPrompt({ name, arguments: args }),
  })),
  { name: 'prompts/get without a required argument', fails: true, run: ({ client }) => client.getPrompt({ name: 'args-prompt', arguments: {} }) },
  { name: 'prompts/get unknown', fails: true, run: ({ client }) => client.getPrompt({ name: 'no-such-prompt' }) },
  ...COMPLETIONS.map(([what, name, argument, context]) => ({
    name: `completion/complete ${what}`,
    run: ({ client }) => client.complete({ ref: { type: 'ref/prompt', name }, argument, context }),
  })),
  {
    name: 'completion/complete a template variable',
    run: ({ client }) =>
      client.complete({
        ref: { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' },
        argument: { name: 'resourceId', value: '12' },
      }),
  },
  {
    name: 'completion/complete an unknown prompt',
    fails: true,
    run: ({ client }) => client.complete({ ref: { type: 'ref/prompt', name: 'no-such-prompt' }, argument: { name: 'a', value: '' } }),
  },
];
