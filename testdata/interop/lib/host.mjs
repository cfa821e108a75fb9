// The host's side of a session: what this client offers to a server, and its fixed answers.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const CAPABILITIES = {
  roots: { listChanged: true },
  sampling: {},
  elicitation: { form: {}, url: {} },
  tasks: { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } },
};

const SAMPLE = {
  role: 'assistant',
  model: 'interop-model',
  stopReason: 'endTurn',
  content: { type: 'text', text: 'a fixed answer: “quoted”, \\ and 世界 🌍' },
};

/** By property name, what a form asks for. */
const FORM = {
  name: 'Ada Lovelace',
  check: true,
  firstLine: 'Call me Ishmael.',
  email: 'ada@example.com',
  homepage: 'https://example.com/ada',
  birthdate: '1815-12-10',
  integer: 7,
  number: 2.5,
  untitledSingleSelectEnum: 'Phoebe',
  untitledMultipleSelectEnum: ['Piano', 'Violin'],
  titledSingleSelectEnum: 'hero-3',
  titledMultipleSelectEnum: ['fish-2', 'fish-3'],
  legacyTitledEnum: 'pet-2',
  favoriteColor: 'Blue',
  agreeToTerms: true,
  interpretation: 'historical',
};

/** A client with all capabilities; `roots` is read at each roots/list. */
export function newHost(roots) {
  const client = new Client(
    { name: 'mcp-bridge-interop', version: '1.0.0' },
    { capabilities: CAPABILITIES, taskStore: new InMemoryTaskStore() },
  );
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots }));
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }, extra) => answer(SAMPLE, params, extra));
  client.setRequestHandler(ElicitRequestSchema, ({ params }, extra) => answer(elicited(params), params, extra));
  return client;
}

function elicited({ mode, requestedSchema }) {
  if (mode === 'url') return { action: 'accept' };
  const asked = Object.keys(requestedSchema.properties).filter((name) => name in FORM);
  return { action: 'accept', content: Object.fromEntries(asked.map((name) => [name, FORM[name]])) };
}

/** The result itself or, where the server asked for a task, a task that has it. */
async function answer(result, { task: wanted }, { taskStore }) {
  if (!wanted) return result;
  const task = await taskStore.createTask({ ttl: wanted.ttl });
  await taskStore.storeTaskResult(task.taskId, 'completed', result);
  return { task };
}
