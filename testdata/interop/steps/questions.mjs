// The server asks the host in the midst of a call: sampling and elicitation.
const PAGE = { url: 'https://example.com/consent?a=1&b=2', message: 'Please open this page.' };

export const questions = [
  {
    name: 'tools/call trigger-sampling-request',
    run: (session) => session.callTool('trigger-sampling-request', { prompt: 'say “hi” 🌍', maxTokens: 17 }),
  },
  { name: 'tools/call trigger-elicitation-request', run: (session) => session.callTool('trigger-elicitation-request') },
  {
    name: 'tools/call trigger-url-elicitation',
    run: (session) => session.callTool('trigger-url-elicitation', { ...PAGE, elicitationId: 'fixed-id' }),
  },
  {
    name: 'tools/call trigger-url-elicitation by error',
    fails: true,
    run: (session) => session.callTool('trigger-url-elicitation', { ...PAGE, errorPath: true }),
  },
  {
    name: 'tools/call trigger-url-elicitation after the error',
    run: (session) => session.callTool('trigger-url-elicitation', { ...PAGE, errorPath: true }),
  },
];
