package authtest

import (
	"crypto"
	"net"
	"net/http"
	"time"
)

// Config says how a server behaves. The zero value is a good one that offers everything.
type Config struct {
	// Handle, if set, sees every request to the authorization server before the server does. It
	// returns true when it has answered it. [Request.Serve] gives a request back to the server
	// from within Handle, for instance with another ResponseWriter. Handle is called concurrently,
	// and has to return when the request's context is done. panic(http.ErrAbortHandler) cuts the
	// connection.
	Handle func(w http.ResponseWriter, r *Request) bool

	// Faults go wrong, at the authorization server and at the guard.
	Faults []Fault

	// Discovery.
	IssuerPath string   // the issuer is URL() plus this, as in "/t1"
	MetadataAt []string // paths that the metadata is at. Nil means the one that RFC 8414 gives it; empty means nowhere.
	Metadata   Edit     // of the metadata. An issuer is believed in: it is in redirects, too.

	// Clients are known without registration. One whose ID is a URL is one with a client ID
	// metadata document, which is not fetched.
	Clients             []Client
	AuthMethods         []string // how clients may prove who they are at the token endpoint; nil means by all four
	RegistrationMembers []string // if set, other members of a registration are refused, and grant_types that aren't exactly authorization_code and refresh_token (R10)
	RegistrationStatus  int      // of the answer to a good registration; 0 means 201
	Registration        Edit     // of that answer. client_id, client_secret and token_endpoint_auth_method hold as edited.

	// Authorization.
	AutoApprove    bool          // there is no consent page
	DevicePolls    int           // with AutoApprove: how often a device is told that authorization is pending
	DeviceInterval time.Duration // between polls of a device, 0 means a second
	UnknownClient  Fault         // answer of the authorization endpoint to an unknown client. With Error and status 302 it goes to the redirect URI. Zero means 400, as JSON or as a page.
	Callback       Edit          // of the parameters that are sent to the redirect URI, as in {"code": Absent, "error": "access_denied"}
	Device         Edit          // of the answer of the device authorization endpoint

	// What others vouch for, and what this one does.
	Issuers map[string]crypto.PublicKey // whose JWTs are grants here (RFC 7523 2.1), by issuer; as in {idp.URL(): idp.Key()}
	IDJAG   Edit                        // of the claims of ID-JAGs that are given for ID tokens

	// Scopes are the scopes there are, others are refused; nil means that any will do.
	// RefuseScopes are refused at the authorization endpoint all the same. Granted, if set, is
	// what every grant has in the end, whatever was asked for.
	Scopes       []string
	RefuseScopes []string
	Granted      string

	// Tokens.
	Lifetime         time.Duration // of access tokens, 0 means an hour
	NoRefresh        bool          // there are no refresh tokens
	NoRotation       bool          // a refresh token stays good, and refreshing doesn't give another
	ResourceOptional bool          // tokens may lack a resource, and are then good for all
	Token            Edit          // of the token endpoint's good answers. The tokens themselves stay as they are.
	FormTokens       bool          // those answers are form-encoded
	IDTokens         bool          // who asks for the scope openid gets an ID token too, and the guard takes only those
	NoIDOnRefresh    bool          // with IDTokens: a renewal brings none
	IDLifetime       time.Duration // of ID tokens, 0 means that of access tokens

	// Tokens that are bound to a key (RFC 9449), here and at the guard.
	DPoP         bool // if a proof comes, the tokens are bound to its key; all metadata say so
	DPoPRequired bool // and no others are given, or let through
	DPoPNonces   bool // proofs have to hold a nonce of the server's

	// The guard.
	Endpoint           string            // path of the MCP endpoint; "" means "/mcp"
	AtResource         bool              // all other paths of the guarded origin are the authorization server's, as in 2025-03-26, and there is no resource metadata unless ResourceMetadataAt says so
	ResourceMetadataAt []string          // paths that the resource's metadata is at. Nil means the one that RFC 9728 gives it; empty means nowhere. The challenge names the first.
	ResourceMetadata   Edit              // of it. A resource is believed in: tokens have to be for it.
	NoChallenge        bool              // a 401 has no WWW-Authenticate
	Challenge          string            // if set, sent as it is, but for {metadata}, the URL of the resource's metadata
	ChallengeScope     string            // scope in the challenge of a 401
	ToolScopes         map[string]string // scopes that calls of these tools want, else 403 (step-up)

	// Unrecorded is for servers that run for long: Requests is empty, and all that counts
	// requests is 0.
	Unrecorded bool

	// Listener is where to serve. Nil means a free port of 127.0.0.1.
	Listener net.Listener
}

// A Client is what a server knows of one.
type Client struct {
	ID           string
	Secret       string
	Key          crypto.PublicKey // for private_key_jwt: an *rsa.PublicKey or an *ecdsa.PublicKey
	AuthMethod   string           // one of the server's AuthMethods that it has to use; "" means that any may do
	Name         string
	Issuer       string   // of its assertions, which are not its own then but its platform's, and may come again; Key is the platform's
	RedirectURIs []string // none means that any on loopback is good
	GrantTypes   []string // nil means all

	anyPort bool // redirect URIs on loopback match with any port (RFC 8252 7.3)
}

// An Edit changes a JSON object or a set of parameters: its members replace those of the object.
// nil becomes null, and [Absent] takes a member away.
type Edit map[string]any

type absent int

// Absent is the value of a member that an Edit takes away.
const Absent absent = 0

func (e Edit) apply(doc map[string]any) map[string]any {
	for name, value := range e {
		if value == Absent {
			delete(doc, name)
		} else {
			doc[name] = value
		}
	}
	return doc
}
