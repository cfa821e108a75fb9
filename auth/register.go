package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The ways in which a client proves to the token endpoint who it is (RFC 7591 2).
const (
	methodNone  = "none"
	methodPost  = "client_secret_post"
	methodBasic = "client_secret_basic"
	methodKey   = "private_key_jwt"
)

// clientFor returns the client to use at the authorization server: the configured one, else the
// client ID metadata document where the server takes that, else the registered one, else a
// newly registered one (spec 4.60). Fresh tells that it was registered just now.
func (t *Transport) clientFor(ctx context.Context, d *discovery, known *Client, redirectURI string, scopes []string) (c *Client, fresh bool, err error) {
	if c := t.knownClient(&d.server, known, redirectURI); c != nil {
		return c, false, nil
	}
	if err := t.checkRegistration(&d.server); err != nil {
		return nil, false, err
	}
	c, err = t.register(ctx, d, redirectURI, scopes)
	return c, true, err
}

// knownClient returns the client to use where none has to be registered, nil if one has to be.
func (t *Transport) knownClient(m *serverMetadata, known *Client, redirectURI string) *Client {
	if c := t.configuredClient(m, redirectURI); c != nil {
		return c
	}
	if known != nil && known.Registered && known.RedirectURI == redirectURI && !known.expired() {
		return known
	}
	return nil
}

// checkRegistration refuses an authorization server that registers nobody.
func (t *Transport) checkRegistration(m *serverMetadata) error {
	if m.RegistrationEndpoint == "" {
		return ErrNoRegistration
	}
	_, err := t.checkURL("registration endpoint", m.RegistrationEndpoint)
	return err
}

// configuredClient returns the client that needs no registration, nil if there is none.
func (t *Transport) configuredClient(m *serverMetadata, redirectURI string) *Client {
	switch {
	case t.cfg.ClientID != "":
		c := &Client{ID: t.cfg.ClientID, Secret: t.cfg.ClientSecret, RedirectURI: redirectURI, AuthMethod: methodNone}
		switch {
		case t.cfg.assertsClient():
			c.AuthMethod = methodKey
		case c.Secret != "":
			c.AuthMethod = secretMethod(m)
		}
		if method, ok := t.cfg.ClientMetadata["token_endpoint_auth_method"].(string); ok {
			c.AuthMethod = method
		}
		return c
	case t.cfg.ClientMetadataURL != "" && m.DocumentClients:
		c := &Client{ID: t.cfg.ClientMetadataURL, RedirectURI: redirectURI, AuthMethod: methodNone}
		if t.cfg.assertsClient() {
			c.AuthMethod = methodKey // spec 4.64
		}
		return c
	case t.cfg.isWorkload():
		return &Client{AuthMethod: methodNone} // the assertion says enough (RFC 7523 3.1)
	}
	return nil
}

// secretMethod returns how a secret is shown: in the body, unless the server takes it in the
// header only. A server that says nothing takes the header (RFC 8414 2).
func secretMethod(m *serverMetadata) string {
	if slices.Contains(m.TokenAuthMethods, methodPost) || m.guessed {
		return methodPost
	}
	return methodBasic
}

// register registers a client (RFC 7591 3.1).
func (t *Transport) register(ctx context.Context, d *discovery, redirectURI string, scopes []string) (*Client, error) {
	metadata := map[string]any{
		"client_name":                t.cfg.ClientName,
		"redirect_uris":              []string{redirectURI},
		"grant_types":                []string{"authorization_code", "refresh_token"}, // spec 4.68
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": t.wantedMethod(&d.server),
		"application_type":           "native", // spec 4.66
	}
	if t.cfg.DeviceCode {
		metadata["grant_types"] = []string{deviceGrant, "refresh_token"}
		metadata["response_types"] = []string{} // without it, it would be code (RFC 7591 2)
		delete(metadata, "redirect_uris")
	}
	if len(scopes) > 0 {
		metadata["scope"] = strings.Join(scopes, " ")
	}
	maps.Copy(metadata, t.cfg.ClientMetadata)
	maps.DeleteFunc(metadata, func(_ string, value any) bool { return value == nil })
	for {
		c, err := t.postRegistration(ctx, &d.server, metadata)
		if refused, ok := errors.AsType[*RegistrationError](err); ok && refused.Status == http.StatusBadRequest {
			// Strict servers refuse what they don't know. What isn't needed is left out, once.
			text := strings.ToLower(refused.Code + " " + refused.Description)
			if _, sent := metadata["scope"]; sent && strings.Contains(text, "scope") {
				delete(metadata, "scope")
				continue
			}
			if _, sent := metadata["application_type"]; sent && t.cfg.ClientMetadata["application_type"] == nil {
				delete(metadata, "application_type")
				continue
			}
		}
		if err == nil && c.RedirectURI == "" {
			c.RedirectURI = redirectURI // what we use, whatever the reply says
		}
		return c, err
	}
}

// wantedMethod returns the authentication method to register for: none, where that is possible.
func (t *Transport) wantedMethod(m *serverMetadata) string {
	switch {
	case t.cfg.ClientKey != nil:
		return methodKey
	case len(m.TokenAuthMethods) == 0 || slices.Contains(m.TokenAuthMethods, methodNone):
		return methodNone
	}
	return secretMethod(m)
}

func (t *Transport) postRegistration(ctx context.Context, m *serverMetadata, metadata map[string]any) (*Client, error) {
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, fmt.Errorf("encoding the client metadata: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.RegistrationEndpoint, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("registering a client at %s: %w", m.Issuer, stripURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("registering a client at %s: %w", m.Issuer, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		code, description := oauthError(body, resp.Header.Get("Content-Type"), nil)
		return nil, &RegistrationError{resp.StatusCode, code, description}
	}
	// null, "" and missing are the same.
	var reply struct {
		ID           string  `json:"client_id"`
		Secret       string  `json:"client_secret"`
		SecretExpiry float64 `json:"client_secret_expires_at"` // seconds since 1970, 0: never
		AuthMethod   string  `json:"token_endpoint_auth_method"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.ID == "" {
		return nil, &RegistrationError{Status: resp.StatusCode, Description: "the reply holds no client_id"}
	}
	c := &Client{ID: reply.ID, Secret: reply.Secret, AuthMethod: reply.AuthMethod, Registered: true}
	if reply.SecretExpiry > 0 {
		c.SecretExpiry = time.Unix(int64(reply.SecretExpiry), 0).UTC()
	}
	switch {
	case c.AuthMethod == methodKey && t.cfg.ClientKey != nil, c.AuthMethod == methodNone:
	case c.Secret == "":
		c.AuthMethod = methodNone
	case c.AuthMethod != methodPost && c.AuthMethod != methodBasic:
		c.AuthMethod = secretMethod(m)
	}
	return c, nil
}
