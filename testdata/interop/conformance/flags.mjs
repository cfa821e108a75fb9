// What a scenario hands to the client, beside the server's address, as flags of mcp-bridge.
import fs from 'node:fs';
import path from 'node:path';

/** The client ID that auth/basic-cimd expects. Nobody fetches it. */
const METADATA_URL = 'https://conformance-test.local/client-metadata.json';

const secret = ({ client_secret }) => ({ MCP_BRIDGE_CLIENT_SECRET: client_secret });

const enterprise = (given, file) => ({
  args: [
    ...['--client-id', given.client_id],
    ...['--idp-token-endpoint', given.idp_token_endpoint],
    ...['--idp-client-id', given.idp_client_id],
    ...['--idp-id-token-file', file('id-token', given.idp_id_token)],
  ],
  env: secret(given),
});

const FLAGS = {
  'auth/basic-cimd': () => ({ args: ['--client-metadata-url', METADATA_URL] }),
  'auth/pre-registration': (given) => ({ args: ['--client-id', given.client_id], env: secret(given) }),
  'auth/client-credentials-basic': (given) => ({ args: ['--client-credentials', '--client-id', given.client_id], env: secret(given) }),
  'auth/client-credentials-jwt': (given, file) => ({
    args: ['--client-credentials', '--client-id', given.client_id, '--client-key', file('key.pem', given.private_key_pem)],
  }),
  'auth/cross-app-access-complete-flow': enterprise,
  'auth/enterprise-managed-authorization': enterprise,
  'auth/wif-jwt-bearer': (given, file) => ({ args: ['--client-assertion-file', file('workload.jwt', given.valid_jwt)] }),
  'auth/dpop': () => ({ args: ['--dpop'] }),
  'auth/dpop-nonce': () => ({ args: ['--dpop'] }),
};

/** { args, env } for a scenario; given is the suite's context, and files go to the folder work. */
export function flagsOf(scenario, given, work) {
  const file = (name, text) => {
    const to = path.join(work, name);
    fs.writeFileSync(to, text, { mode: 0o600 });
    return to;
  };
  return { args: [], env: {}, ...FLAGS[scenario]?.(given, file) };
}
