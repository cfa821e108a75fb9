// tools/list, and the tools that answer by themselves.

const PLAIN = [
  ['echo', { message: 'hello' }, 'echo'],
  ['echo', { message: 'line\nbreak\r\n\ttab "quotes" \\ \u2028\u2029 \u0000 é 世界 🌍 <b>&amp;</b>' }, 'echo of awkward characters'],
  ['echo', { message: '界'.repeat(400_000) }, 'echo of 1.2 MB'],
  ['echo', { message: 42 }, 'echo with a wrong argument'],
  ['get-sum', { a: 9007199254740991, b: -0.1 }],
  ['get-annotated-message', { messageType: 'error', includeImage: true }, 'get-annotated-message error'],
  ['get-annotated-message', { messageType: 'success' }, 'get-annotated-message success'],
  ['get-annotated-message', { messageType: 'debug' }, 'get-annotated-message debug'],
  ['get-env', {}],
  ['get-resource-links', { count: 10 }],
  ['get-resource-reference', { resourceType: 'Text', resourceId: 3 }, 'get-resource-reference text'],
  ['get-resource-reference', { resourceType: 'Blob', resourceId: 4 }, 'get-resource-reference blob'],
  ['get-resource-reference', { resourceType: 'Blob', resourceId: -1 }, 'get-resource-reference with a wrong id'],
  ['get-structured-content', { location: 'Chicago' }],
  ['get-tiny-image', {}],
  ['no-such-tool', {}],
];

export const tools = [
  { name: 'tools/list', run: ({ client }) => client.listTools() },
  ...PLAIN.map(([tool, args, name = tool]) => ({
    name: `tools/call ${name}`,
    run: (session) => session.callTool(tool, args),
  })),
];
