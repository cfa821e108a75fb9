// The authorization server: oidc-provider, set up as its documentation says for an API that others
// protect with its tokens, and a journal of every request that it answered.
import './hush.mjs';
import crypto from 'node:crypto';
import http from 'node:http';
import { once } from 'node:events';
import Provider, { errors } from 'oidc-provider';

const GRANTS = { code: 'authorization_code', refresh: 'refresh_token', device: 'urn:ietf:params:oauth:grant-type:device_code' };
/** Parameters and members that nobody but the two sides may see. */
const SECRET = /^(code|code_verifier|device_code|access_token|refresh_token|id_token|token|client_secret|registration_access_token)$/;

const DEFAULTS = {
  /** Seconds that an access token lives. */
  lifetime: 3600,
  /**
   * Who gets a refresh token: 'all', 'none', or as the provider has it by itself those who asked for
   * 'offline_access', which it passes over without prompt=consent (OpenID Connect Core 11).
   */
  refreshTokens: 'all',
  /** Hang up on a token request that comes on a connection used before, as if it had been idle too long. */
  hangUp: false,
};
/** Between two requests on one connection; a person takes longer than Node's 5 s to sign in. */
const IDLE_LIMIT_MS = 60_000;

export class AuthServer {
  /** Every request, oldest first: { route, grant, status, params, sent, reply, location }. */
  journal = [];
  /** Every value that has been issued, or shown to prove something. */
  secrets = new Set();
  /** How the next tokens are issued; see DEFAULTS. */
  policy = { ...DEFAULTS };
  /** Resources that tokens are issued for, and their scopes. */
  #resources = new Map();
  #key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  #server = http.createServer({ keepAliveTimeout: IDLE_LIMIT_MS }, (req, res) => this.#take(req, res));
  #used = new WeakSet();
  #answer;

  async start() {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    this.issuer = `http://127.0.0.1:${this.#server.address().port}`;
    this.restart();
  }

  /** Forgets clients, grants, tokens and who is signed in. Issuer and port stay. */
  restart() {
    this.#server.closeAllConnections();
    this.provider = new Provider(this.issuer, this.#configuration());
    this.provider.use((ctx, next) => this.#record(ctx, next));
    this.#answer = this.provider.callback();
  }

  resetPolicy() {
    this.policy = { ...DEFAULTS };
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  protect(resource, scope) {
    this.#resources.set(resource, scope);
  }

  /** The access token of that value, while it is good. */
  accessToken(value) {
    return this.provider.AccessToken.find(value);
  }

  /** Requests to a route since `from`, an earlier length of the journal. */
  requests(route, from = 0) {
    return this.journal.slice(from).filter((entry) => entry.route === route);
  }

  /** Token requests of one grant since then: 'code', 'refresh' or 'device'. */
  grants(name, from = 0) {
    return this.requests('token', from).filter((entry) => entry.grant === GRANTS[name]);
  }

  /** The ids of the clients that have registered since then. */
  clients(from = 0) {
    return this.requests('registration', from).filter(({ status }) => status === 201).map(({ reply }) => reply.client_id);
  }

  #take(req, res) {
    if (this.policy.hangUp && req.url === '/token' && this.#used.has(req.socket)) return req.socket.resetAndDestroy();
    this.#used.add(req.socket);
    this.#answer(req, res);
  }

  #configuration() {
    return {
      // Any account name will do, and so does any password: the pages are the provider's own.
      findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
      jwks: { keys: [this.#key] },
      cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
      pkce: { required: () => true },
      features: {
        devInteractions: { enabled: true },
        registration: { enabled: true },
        revocation: { enabled: true },
        introspection: { enabled: true },
        deviceFlow: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (ctx, resource) => this.#resource(resource),
          useGrantedResource: () => true,
        },
      },
      issueRefreshToken: (ctx, client, source) => client.grantTypeAllowed('refresh_token') && this.#mayRefresh(source.scopes),
    };
  }

  #mayRefresh(scopes) {
    const { refreshTokens } = this.policy;
    return refreshTokens === 'all' || (refreshTokens === 'offline_access' && scopes.has('offline_access'));
  }

  #resource(resource) {
    const scope = this.#resources.get(resource);
    if (scope === undefined) throw new errors.InvalidTarget();
    return { scope, audience: resource, accessTokenTTL: this.policy.lifetime, accessTokenFormat: 'opaque' };
  }

  async #record(ctx, next) {
    await next();
    if (!ctx.oidc) return; // no route of the provider's
    const params = ctx.oidc.params?.toPlainObject?.() ?? {};
    const reply = ctx.body?.constructor === Object ? ctx.body : {};
    const location = URL.parse(ctx.response.get('location'));
    this.#keep(params);
    this.#keep(reply);
    this.#keep(Object.fromEntries(location?.searchParams ?? []));
    this.journal.push({ route: ctx.oidc.route, grant: params.grant_type, status: ctx.status, params, sent: ctx.oidc.body, reply, location });
  }

  #keep(values) {
    for (const [name, value] of Object.entries(values)) {
      // An error has a "code" too, and what is short may be in a log by chance.
      if (SECRET.test(name) && typeof value === 'string' && value.length > 15) this.secrets.add(value);
    }
  }
}
