package authtest

import (
	"fmt"
	"net/http"
)

const (
	wellKnownServer   = "/.well-known/oauth-authorization-server"
	wellKnownResource = "/.well-known/oauth-protected-resource"
)

// metadataAt returns the paths that the metadata is at.
func (c *Config) metadataAt() []string {
	if c.MetadataAt != nil {
		return c.MetadataAt
	}
	return []string{wellKnownServer + c.IssuerPath}
}

// metadata returns the authorization server's metadata (RFC 8414 2).
func (c *Config) metadata(r *http.Request) map[string]any {
	base := origin(r)
	doc := map[string]any{
		"issuer":                                           base + c.IssuerPath,
		"authorization_endpoint":                           base + pathAuthorize,
		"token_endpoint":                                   base + pathToken,
		"registration_endpoint":                            base + pathRegister,
		"revocation_endpoint":                              base + pathRevoke,
		"device_authorization_endpoint":                    base + pathDevice,
		"response_types_supported":                         []string{"code"},
		"grant_types_supported":                            []string{grantCode, grantRefresh, grantClient, grantDevice},
		"code_challenge_methods_supported":                 []string{"S256"},
		"token_endpoint_auth_methods_supported":            c.authMethods(),
		"token_endpoint_auth_signing_alg_values_supported": signingMethods(),
		"client_id_metadata_document_supported":            true,
		"authorization_response_iss_parameter_supported":   true, // RFC 9207
	}
	if c.Issuers != nil {
		doc["grant_types_supported"] = []string{grantCode, grantRefresh, grantClient, grantDevice, grantBearer}
	}
	if c.DPoP || c.DPoPRequired {
		doc["dpop_signing_alg_values_supported"] = proofAlgorithms() // RFC 9449 5.1
	}
	if c.Scopes != nil {
		doc["scopes_supported"] = c.Scopes
	}
	return c.Metadata.apply(doc)
}

// issuer returns the issuer that the metadata names.
func (c *Config) issuer(r *http.Request) string { return fmt.Sprint(c.metadata(r)["issuer"]) }

func (c *Config) endpoint() string {
	if c.Endpoint == "" {
		return "/mcp"
	}
	return c.Endpoint
}

// resourceMetadataAt returns the paths that the resource's metadata is at.
func (c *Config) resourceMetadataAt() []string {
	if c.ResourceMetadataAt != nil || c.AtResource {
		return c.ResourceMetadataAt
	}
	return []string{wellKnownResource + c.endpoint()}
}

// resourceMetadata returns the metadata of the resource that r is for (RFC 9728 2).
func (c *Config) resourceMetadata(r *http.Request, server string) map[string]any {
	doc := map[string]any{
		"resource":                 origin(r) + c.endpoint(),
		"authorization_servers":    []string{server + c.IssuerPath},
		"bearer_methods_supported": []string{"header"},
	}
	if c.DPoP || c.DPoPRequired {
		doc["dpop_signing_alg_values_supported"] = proofAlgorithms()
	}
	if c.DPoPRequired {
		doc["dpop_bound_access_tokens_required"] = true
	}
	return c.ResourceMetadata.apply(doc)
}
