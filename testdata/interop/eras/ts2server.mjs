// Serves the tools of goserver/main.go with the TypeScript SDK 2.x: `modern` speaks 2026-07-28 only,
// `dual` the revisions before it too. The port is that of lib/loopback.mjs.
import http from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  McpServer,
  ResourceTemplate,
  createMcpHandler,
  fromJsonSchema,
  inputRequired,
  inputResponse,
} from '@modelcontextprotocol/server';

const NONE = { type: 'object', properties: {} };
const NAME = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
const WATCHED = 'test://watched';

const text = (value) => ({ content: [{ type: 'text', text: value }] });
const elicit = (message) => inputRequired.elicit({ message, requestedSchema: NAME });

function newServer() {
  const server = new McpServer(
    { name: 'ts2', version: '2.4.0' },
    {
      instructions: 'Be kind',
      capabilities: { logging: {}, completions: {}, tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true } },
    },
  );
  const tool = (name, schema, call) => server.registerTool(name, { inputSchema: fromJsonSchema(schema) }, call);

  tool('echo', { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }, (args) => text(args.text));
  tool('header', { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }, ({ region }) => text(`region=${region}`));
  tool('fail', NONE, () => ({ ...text('no luck'), isError: true }));
  tool('progress', NONE, async (_, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress++) {
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } });
    }
    return text('done');
  });
  tool('log', NONE, async (_, { mcpReq }) => {
    for (const level of ['debug', 'warning']) await mcpReq.log(level, `a ${level}`);
    return text('logged');
  });
  tool('wait', NONE, (_, { mcpReq }) => new Promise((resolve) => mcpReq.signal.addEventListener('abort', () => resolve(text('aborted')))));
  tool('change', NONE, () => {
    handler.notify.toolsChanged();
    return text('changed');
  });
  tool('touch', NONE, () => {
    handler.notify.resourceUpdated(WATCHED);
    return text('touched');
  });
  tool('ask', NONE, (_, { mcpReq }) => {
    const name = inputResponse(mcpReq.inputResponses, 'name');
    if (name.kind === 'elicit') return text(`${name.action} ${name.content?.name}`);
    return inputRequired({ inputRequests: { name: elicit('Who?') } });
  });
  tool('ask-all', NONE, (_, { mcpReq }) => {
    const [name, sample, roots] = ['name', 'sample', 'roots'].map((key) => inputResponse(mcpReq.inputResponses, key));
    if (name.kind === 'elicit' && sample.kind === 'sampling' && roots.kind === 'roots') {
      const [block] = [sample.result.content].flat();
      return text(`${name.content?.name}, ${block.text}, ${roots.roots.length} roots`);
    }
    return inputRequired({
      requestState: 'all',
      inputRequests: {
        name: elicit('Who?'),
        sample: inputRequired.createMessage({ maxTokens: 5, messages: [{ role: 'user', content: { type: 'text', text: 'Hi' } }] }),
        roots: inputRequired.listRoots(),
      },
    });
  });
  tool('rounds', NONE, (_, { mcpReq }) => {
    const state = mcpReq.requestState() ?? '';
    const said = (key) => inputResponse(mcpReq.inputResponses, key).content?.name;
    if (state.startsWith('2:')) return text(`${state.slice(2)} and ${said('second')}`);
    if (state === '1') return inputRequired({ requestState: `2:${said('first')}`, inputRequests: { second: elicit('Second?') } });
    return inputRequired({ requestState: '1', inputRequests: { first: elicit('First?') } });
  });

  const read = (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: `text of ${uri.href}` }] });
  server.registerResource('static', 'test://static', {}, read);
  server.registerResource('watched', WATCHED, {}, read);
  server.registerResource('template', new ResourceTemplate('test://template/{id}', { list: undefined }), {}, read);
  const argsSchema = fromJsonSchema({ type: 'object', properties: { name: { type: 'string' } }, required: ['name'] });
  server.registerPrompt('greet', { argsSchema }, ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Hello ${name}` } }],
  }));
  server.server.setRequestHandler('completion/complete', () => ({ completion: { values: ['Ada', 'Alan'], total: 2 } }));
  return server;
}

const handler = createMcpHandler(newServer, { legacy: process.argv[2] === 'modern' ? 'reject' : 'stateless' });
http.createServer(toNodeHandler(handler)).listen(0);
