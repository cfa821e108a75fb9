// Calls that take their time: progress, cancellation, many at once.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const SLOW = 'trigger-long-running-operation';

export const calls = [
  {
    name: 'tools/call trigger-long-running-operation with progress',
    async run(session) {
      await session.callTool(SLOW, { duration: 0.5, steps: 10 }, { onprogress() {} });
      // As they came: the client itself lets go of progress that comes together with the result.
      const order = session.recent.map(({ method, params }) => (method ? `${method} ${params.progress}` : 'result'));
      assert.deepEqual(order, [...Array.from({ length: 10 }, (_, i) => `notifications/progress ${i + 1}`), 'result']);
    },
  },
  {
    name: 'tools/call trigger-long-running-operation cancelled',
    // A bridge may close the stream of a cancelled call, or leave it to bring more progress.
    valueOnly: true,
    async run(session) {
      const stop = new AbortController();
      let id;
      const call = session.callTool(SLOW, { duration: 1, steps: 5 }, {
        signal: stop.signal,
        onprogress: () => {
          id = session.recent.find((m) => m.method === 'notifications/progress').params.progressToken;
          stop.abort('no longer wanted');
        },
      });
      await assert.rejects(call, /no longer wanted/);
      // The tool runs to its end all the same; the server must have been told to keep the result.
      await sleep(1_200);
      await session.client.ping();
      return { answers: session.recent.filter((m) => m.id === id && !m.method).length };
    },
  },
  {
    name: 'tools/call 50 at once',
    valueOnly: true,
    async run(session) {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) => session.callTool('echo', { message: `call ${i}` })),
      );
      return results.map(({ content }) => content[0].text);
    },
  },
  {
    name: 'tools/call slow and quick at once',
    valueOnly: true,
    async run(session) {
      const order = [];
      const slow = session.callTool(SLOW, { duration: 1, steps: 1 }).then(() => order.push('slow'));
      await session.callTool('get-sum', { a: 1, b: 2 }).then(() => order.push('quick'));
      await slow;
      return order;
    },
  },
];
