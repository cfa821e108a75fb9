// Package bridge relays MCP messages between a pair of byte streams and a remote MCP server.
//
// A message passes through as it is, byte for byte; only line breaks between its tokens become
// spaces, since stdio allows none inside a message. The bridge looks at what it must know to
// deliver a message: whether it is a request, a notification or a response, its id and method,
// and the little that HTTP headers repeat.
//
//	host                          bridge                                server
//
//	stdin ──▶ lines ──▶ front ──▶ relay ──▶ order ──┬──▶ call: POST, one goroutine each ──▶
//	                              │  ▲              └──▶ lane: POST, one after the other ──▶
//	                              │  │
//	                    calls ◀───┘  └─ deliver ◀──┬── JSON body of a POST ◀──────────────
//	   (who waits for an answer)          │        ├── event stream of a POST, resumed ◀──
//	                                      ▼        └── GET stream ◀───────────────────────
//	stdout ◀───────────────────────── output
//	                          (whole messages only)
//
// # Answers
//
// Every request of the host's is a call, and a call gets exactly one answer: the server's, or an
// error that says what happened. A response goes to the host only if a call waits for it.
// Errors made here have "source":"mcp-bridge" in their data.
//
// # Order
//
// Messages leave in the order they came: each waits, within a bound, until the one before it was
// written. Nothing follows initialize until it is answered, nor notifications/initialized until
// the server has taken it. Notifications and responses go one at a time. Requests run side by side;
// their answers come as the server gives them. What comes on one stream reaches the host in the
// order of that stream.
//
// # Memory
//
// Whoever reads from the server also writes to the host, and waits until that is done. So a host
// that reads slowly slows the server down; long messages that come side by side share a budget. What
// the server sent is gone once it was delivered, memory and all: whoever needs a part of it for longer
// makes a copy.
//
// # Servers
//
// A [remote] is the way to one server. There are streamable (with stream.go for its event streams) and
// httpSSE for servers with a handshake, and modern for those of 2026-07-28. What a session needs to be
// made anew is in handshake. Remotes may stand before others: detecting and choosing find out which it
// is, toModern and toHandshake translate where host and server are of different eras (era.go has the
// picture and the tables), and early speaks for a server that the user has to sign in to first.
//
// # Policy
//
// A [Policy] withholds tools from the host. Its gate stands where a call is taken from the host and
// where an answer goes to it, and only looks at tools/list and tools/call; without a policy at
// nothing.
//
// # End
//
// See [Run]. Every goroutine says where it is started what ends it.
//
// The package knows nothing of authorization: that is the business of the RoundTripper in
// [Config.HTTPClient].
package bridge
