// Puts a sign-in before a server that has none: the SDK's authorization server, bearer check and
// resource metadata, on an origin of their own, and behind them whatever the server says.
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DemoInMemoryAuthProvider } from '@modelcontextprotocol/sdk/examples/server/demoInMemoryOAuthProvider.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { getOAuthProtectedResourceMetadataUrl, mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js';
import express from 'express';

/** The flags with which mcp-bridge signs in there: a user who is known, and agrees. */
export const SIGN_IN = ['--browser', `${process.execPath} ${fileURLToPath(new URL('../lib/browser.mjs', import.meta.url))}`];

/** server, behind a sign-in: { url, signIns(), stop() } and the rest of what it has. */
export async function behindSignIn(server) {
  const app = express();
  const front = http.createServer(app);
  await once(front.listen(0, '127.0.0.1'), 'listening');
  const origin = new URL(`http://127.0.0.1:${front.address().port}`);
  const url = new URL(server.url.pathname, origin);

  let signIns = 0;
  class Provider extends DemoInMemoryAuthProvider {
    authorize(...args) {
      signIns++;
      return super.authorize(...args);
    }
  }
  const provider = new Provider((resource) => resource?.href === url.href);
  app.use(mcpAuthRouter({ provider, issuerUrl: origin, resourceServerUrl: url }));
  app.use(requireBearerAuth({ verifier: provider, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(url), expectedResource: url }), passTo(server.url));
  return {
    ...server,
    url,
    signIns: () => signIns,
    stop() {
      front.close();
      front.closeAllConnections();
      server.stop();
    },
  };
}

/** Passes requests on, without the token, which is none of that server's business. */
function passTo(server) {
  return (req, res) => {
    const { authorization, ...headers } = req.headers;
    const onward = http.request(new URL(req.originalUrl, server), { method: req.method, headers: { ...headers, host: server.host } }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers).flushHeaders();
      answer.pipe(res);
    });
    onward.on('error', () => res.destroy());
    res.on('close', () => onward.destroy());
    req.pipe(onward);
  };
}
