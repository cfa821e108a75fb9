package authtest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// clientMetadata is what the server understands of a registration (RFC 7591 2).
type clientMetadata struct {
	ClientName      string   `json:"client_name"`
	RedirectURIs    []string `json:"redirect_uris"`
	GrantTypes      []string `json:"grant_types"`
	AuthMethod      string   `json:"token_endpoint_auth_method"`
	ApplicationType string   `json:"application_type"`
	Scope           string   `json:"scope"`
}

// register serves the registration endpoint (RFC 7591 3).
func (s *Server) register(w http.ResponseWriter, r *Request, cfg *Config) {
	var members map[string]json.RawMessage
	var meta clientMetadata
	if json.Unmarshal(r.Body, &members) != nil || json.Unmarshal(r.Body, &meta) != nil {
		refuse("invalid_client_metadata", "This is no registration").write(w)
		return
	}
	if err := cfg.checkRegistration(members, &meta); err != nil {
		err.write(w)
		return
	}
	if meta.GrantTypes == nil {
		meta.GrantTypes = []string{grantCode}
	}
	if !slices.Contains(cfg.authMethods(), meta.AuthMethod) { // the server's choice (RFC 7591 3.2.1)
		meta.AuthMethod = cfg.authMethods()[0]
	}

	reply := make(map[string]any)
	for name, value := range members {
		reply[name] = value
	}
	reply["client_id"] = "client-" + rand.Text()
	reply["client_id_issued_at"] = time.Now().Unix()
	reply["grant_types"] = meta.GrantTypes
	reply["token_endpoint_auth_method"] = meta.AuthMethod
	if meta.AuthMethod != methodNone {
		reply["client_secret"] = "secret-cs-" + rand.Text()
		reply["client_secret_expires_at"] = 0
	}
	cfg.Registration.apply(reply)

	c := &Client{Name: meta.ClientName, RedirectURIs: meta.RedirectURIs, GrantTypes: meta.GrantTypes}
	c.ID, _ = reply["client_id"].(string)
	c.Secret, _ = reply["client_secret"].(string)
	c.AuthMethod, _ = reply["token_endpoint_auth_method"].(string)
	s.mu.Lock()
	s.clients[c.ID] = c
	s.mu.Unlock()
	status := cfg.RegistrationStatus
	if status == 0 {
		status = http.StatusCreated
	}
	writeJSON(w, status, reply)
}

// checkRegistration refuses what a strict server would.
func (c *Config) checkRegistration(members map[string]json.RawMessage, meta *clientMetadata) *oauthError {
	for name, value := range members {
		if c.RegistrationMembers != nil && !slices.Contains(c.RegistrationMembers, name) {
			return refuse("invalid_client_metadata", "Unrecognized field: "+name)
		}
		if bytes.Equal(value, []byte("null")) {
			return refuse("invalid_client_metadata", name+" is null")
		}
	}
	if c.RegistrationMembers != nil {
		grants := slices.Sorted(slices.Values(meta.GrantTypes))
		if !slices.Equal(grants, []string{grantCode, grantRefresh}) {
			return refuse("invalid_client_metadata", "grant_types must be authorization_code and refresh_token")
		}
	}
	if err := c.checkScope(meta.Scope); err != nil {
		return refuse("invalid_client_metadata", "Requested scopes are not valid: "+meta.Scope)
	}
	switch meta.AuthMethod {
	case "":
		meta.AuthMethod = methodBasic // RFC 7591 2
	case methodNone, methodBasic, methodPost:
	default:
		return refuse("invalid_client_metadata", "A registered client can't use "+meta.AuthMethod)
	}
	if len(meta.RedirectURIs) == 0 && (meta.GrantTypes == nil || slices.Contains(meta.GrantTypes, grantCode)) {
		return refuse("invalid_redirect_uri", "redirect_uris are missing")
	}
	for _, uri := range meta.RedirectURIs {
		u, err := url.Parse(uri)
		switch {
		case err != nil || !u.IsAbs() || u.Fragment != "":
			return refuse("invalid_redirect_uri", uri+" is no absolute URI without a fragment")
		case u.Scheme == "https":
		case u.Scheme != "http" || !isLoopback(u.Hostname()):
			return refuse("invalid_redirect_uri", uri+" is neither https nor on loopback")
		// spec 4.66. Without the member a client is one on the web, which can't be on loopback.
		case meta.ApplicationType != "native" && c.RegistrationMembers == nil:
			return refuse("invalid_redirect_uri", "Only clients with the application_type native may use "+uri)
		}
	}
	return nil
}

// client returns the client with this id, or nil.
func (s *Server) client(cfg *Config, id string) *Client {
	s.mu.Lock()
	c := s.clients[id]
	s.mu.Unlock()
	if c != nil {
		return c
	}
	for _, c := range cfg.Clients {
		if c.ID == id {
			c.anyPort = true
			return &c
		}
	}
	return nil
}

// title is what people know the client as.
func (c *Client) title() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// allows reports whether the client may have its users sent to uri.
func (c *Client) allows(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || !u.IsAbs() {
		return false
	}
	if len(c.RedirectURIs) == 0 {
		return c.anyPort && u.Scheme == "http" && isLoopback(u.Hostname())
	}
	return slices.ContainsFunc(c.RedirectURIs, func(known string) bool {
		return known == uri || c.anyPort && isLoopback(u.Hostname()) && withoutPort(known) == withoutPort(uri)
	})
}

// withoutPort returns uri without its port.
func withoutPort(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	return fmt.Sprint(u)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
