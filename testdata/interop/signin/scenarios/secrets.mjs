// Last: everything that bridges and commands wrote, at the most talkative log level.
export const name = 'secrets';

export async function run({ authServer, bridges, check }) {
  const { secrets } = authServer;
  const kinds = new Set(authServer.journal.flatMap(({ params, reply }) => [...Object.keys(params), ...Object.keys(reply)]));
  const missing = ['code', 'code_verifier', 'access_token', 'refresh_token', 'device_code'].filter((kind) => !kinds.has(kind));
  check('secrets of every kind have been at work', missing.length === 0 && secrets.size > 10, `${secrets.size} secrets, none of ${missing}`);
  check('they wrote more than by default', bridges.all.some(({ said }) => /^mcp-bridge: (info|debug): /m.test(said)));
  const told = bridges.all.flatMap(({ said, stdout }) => [...secrets].filter((secret) => said.includes(secret) || stdout.includes(secret)));
  check('no token, code, verifier or secret is in it', told.length === 0, ...told);
}
