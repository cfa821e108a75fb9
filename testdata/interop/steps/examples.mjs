// Steps for the SDK's example servers, which are set up in ways that the everything server is not.
import { initialize, ping, unknownMethod } from './lifecycle.mjs';

const wrong = { name: 'tools/call with wrong arguments', run: (session) => session.callTool('greet', { name: [] }) };

/** Every answer is application/json, and there is no GET stream. */
export const json = [
  initialize,
  ping,
  { name: 'tools/list', run: ({ client }) => client.listTools() },
  { name: 'tools/call greet', run: (session) => session.callTool('greet', { name: 'Ada “界”' }) },
  { name: 'tools/call multi-greet', run: (session) => session.callTool('multi-greet', { name: 'Ada' }) },
  wrong,
  unknownMethod,
];

/** No session id. */
export const stateless = [
  initialize,
  ping,
  { name: 'tools/list', run: ({ client }) => client.listTools() },
  { name: 'tools/call', run: (session) => session.callTool('start-notification-stream', { interval: 10, count: 3 }) },
  { name: 'prompts/list', run: ({ client }) => client.listPrompts() },
  { name: 'prompts/get', run: ({ client }) => client.getPrompt({ name: 'greeting-template', arguments: { name: 'Ada' } }) },
  { name: 'resources/list', run: ({ client }) => client.listResources() },
  { name: 'resources/read', run: ({ client }) => client.readResource({ uri: 'https://example.com/greetings/default' }) },
  unknownMethod,
];

/** The server closes the stream of the call before it has answered it. */
export const polling = [
  initialize,
  ping,
  {
    name: 'tools/call answered after a reconnection',
    valueOnly: true,
    async run(session) {
      const result = await session.callTool('long-task');
      // Four messages, of which the first may come before the GET stream is open, and nobody hears it.
      const late = ({ data }) => !data.startsWith('Progress: 25%');
      return { result, messages: await session.hear('notifications/message', { count: 3, matches: late }) };
    },
  },
  unknownMethod,
];
