// The MCP server: the SDK's own, behind the SDK's own bearer check and resource metadata.
import crypto from 'node:crypto';
import http from 'node:http';
import { once } from 'node:events';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';

export const SCOPE = 'mcp:tools';

/** Starts a server that asks `authServer` about every token. */
export async function startMcpServer(authServer) {
  const app = express();
  const server = http.createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(`http://127.0.0.1:${server.address().port}/mcp`);
  authServer.protect(url.href, SCOPE);

  async function verifyAccessToken(value) {
    const token = await authServer.accessToken(value);
    if (!token) throw new InvalidTokenError('Token is not active');
    return {
      token: value,
      clientId: token.clientId,
      scopes: token.scope?.split(' ') ?? [],
      expiresAt: token.exp,
      resource: URL.parse(token.aud) ?? undefined,
      extra: { account: token.accountId },
    };
  }

  const oauthMetadata = await (await fetch(`${authServer.issuer}/.well-known/oauth-authorization-server`)).json();
  app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: url, scopesSupported: [SCOPE], resourceName: 'interop' }));
  app.use(
    '/mcp',
    requireBearerAuth({
      verifier: { verifyAccessToken },
      requiredScopes: [SCOPE],
      resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(url),
      expectedResource: url,
    }),
    express.json(),
    sessions(),
  );
  return {
    url,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Serves each session by a transport of its own, as the SDK's examples do. */
function sessions() {
  const transports = new Map();
  return async (req, res) => {
    let transport = transports.get(req.headers['mcp-session-id']);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: crypto.randomUUID,
        onsessioninitialized: (id) => transports.set(id, transport),
        onsessionclosed: (id) => transports.delete(id),
      });
      await newServer().connect(transport);
    }
    await transport.handleRequest(req, res, req.body);
  };
}

function newServer() {
  const server = new McpServer({ name: 'interop', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Who has signed in, and through which client' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify({ account: authInfo.extra.account, client: authInfo.clientId, scopes: authInfo.scopes }) }],
  }));
  return server;
}
