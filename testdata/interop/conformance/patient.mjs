// Loaded into the suite (node --import): its servers do not hang up on a connection that has been idle
// for Node's 5 s, which may be just when a client has signed in and uses it again.
import http from 'node:http';
import net from 'node:net';

const IDLE_LIMIT_MS = 60_000;
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...args) {
  if (this instanceof http.Server) this.keepAliveTimeout = IDLE_LIMIT_MS;
  return listen.apply(this, args);
};
