// Tasks (2025-11-25), in both directions, and the pages of tasks/list.
import assert from 'node:assert/strict';

const RESEARCH = 'simulate-research-query';
const TASKS = 11; // a page has ten

/** Runs a tool as a task to its end; returns what the client saw and what the server told by itself. */
async function research(session, args) {
  session.called.add(RESEARCH);
  const seen = [];
  let taskId;
  for await (const message of session.client.experimental.tasks.callToolStream({ name: RESEARCH, arguments: args })) {
    taskId ??= message.task?.taskId;
    // How often the client asks in one state is chance.
    const state = message.task?.status ?? message.type;
    if (seen.at(-1)?.state !== state) seen.push({ state, result: message.result, error: message.error?.message });
  }
  const mine = (params) => params.taskId === taskId;
  await session.hear('notifications/tasks/status', { matches: (params) => mine(params) && params.status === 'completed' });
  const told = await session.hear('notifications/tasks/status', { matches: mine });
  return { seen, told };
}

export const tasks = [
  {
    name: 'tools/call trigger-sampling-request-async',
    run: (session) => session.callTool('trigger-sampling-request-async', { prompt: 'take your time', maxTokens: 5 }),
  },
  { name: 'tools/call trigger-elicitation-request-async', run: (session) => session.callTool('trigger-elicitation-request-async') },
  {
    name: 'tasks/list by pages, tasks/cancel',
    valueOnly: true,
    async run(session) {
      const { tasks } = session.client.experimental;
      for (let i = 0; i < TASKS; i++) {
        const stream = tasks.callToolStream({ name: RESEARCH, arguments: { topic: `topic ${i}` } });
        const { task } = (await stream.next()).value;
        await stream.return();
        await tasks.cancelTask(task.taskId);
      }
      // Each of them told that it had begun.
      await session.hear('notifications/tasks/status', { count: TASKS });
      const pages = [];
      for (let cursor, more = true; more; more = cursor !== undefined) {
        pages.push(await tasks.listTasks(cursor));
        cursor = pages.at(-1).nextCursor;
      }
      assert.equal(pages.length, 2);
      return pages;
    },
  },
  { name: 'tasks/list with a wrong cursor', fails: true, run: ({ client }) => client.experimental.tasks.listTasks('no-such-cursor') },
  {
    name: 'tools/call simulate-research-query, two at once',
    valueOnly: true,
    run: (session) =>
      Promise.all([
        research(session, { topic: 'bridges' }),
        research(session, { topic: 'Python', ambiguous: true }),
      ]),
  },
  {
    name: 'every listed tool was called',
    async run(session) {
      const { tools } = await session.client.listTools();
      assert.deepEqual(tools.map(({ name }) => name).filter((name) => !session.called.has(name)), []);
    },
  },
];
