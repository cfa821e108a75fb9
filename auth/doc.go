// Package auth authorizes HTTP requests to one remote MCP server with OAuth 2.1.
//
// A [Transport] is an http.RoundTripper that adds the bearer token. When the server refuses it, the
// Transport obtains another, by the first of these that works:
//
//	adopt     one that another process has stored meanwhile
//	refresh   with the refresh token, at the server that issued it
//	sign in   ask the user
//
// and signing in goes through these steps, each in a file of that name:
//
//	challenge   what the server's 401 says                         RFC 6750, RFC 9728
//	discover    who authorizes for it, and how                     RFC 9728, RFC 8414, OpenID Discovery
//	callback    listen on a loopback port for the way back         RFC 8252
//	register    become a client: configured, by document, or new   RFC 7591
//	signin      look at the page in advance, open it, wait         RFC 6749, RFC 7636, RFC 8707, RFC 9207
//	token       exchange the code                                  RFC 6749
//	storage     keep the record
//
// What a sign-in needs to end is kept while it waits (pending.go): if the process is killed, the next
// one listens at the same address for the same answer.
//
// In place of the browser there is a code for another device (device.go, RFC 8628). Without a user
// (withoutuser.go) a client shows its own credentials (RFC 6749 4.4, assertion.go for RFC 7523), or
// what its platform or the user's identity provider says (RFC 7523, RFC 8693). Such a token is not
// refreshed, but had anew in the same way. Where the server wants to know the user, the ID token goes in
// place of the access token (idtoken.go, OpenID Connect Core).
//
// Where the server asks for it, a token is bound to a key, which is made for it and kept with it, and
// each request comes with a proof of that key (dpop.go, RFC 9449).
//
// [Transport.Look] goes through the same steps, by the same functions, without acting: it is for those
// who want to know why a sign-in fails.
//
// # What is kept
//
// One [Record] a server and identity: the client and the token, bound to the authorization
// server that gave them. It is replaced as a whole, under a lock between processes that is taken
// before reading and held until it is saved. So of many requests in many processes that meet a
// refused token one refreshes it, and the others adopt what it got.
//
// The file of a record can be sealed (seal.go), with a key that is in the user's keychain
// (keychain.go). That changes what is in the file, and nothing else.
//
// # What is not thrown away
//
// A login ends only when the authorization server says so in OAuth's own terms. A server error, a
// web page, a time limit, a missing network leave it as it is.
//
// # What is never told
//
// No token, code, verifier, key or secret is in a log, an error, an event or a page.
package auth
