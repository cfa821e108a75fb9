package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"mcp-bridge/auth"

	"github.com/spf13/pflag"
)

// vouchOptions is what the command line and the environment say of those who vouch for the client or the
// user, and of the keys that tokens are bound to.
type vouchOptions struct {
	assertionFile   string
	idpTokenURL     string
	idpClientID     string
	idpClientSecret string
	idTokenFile     string
	dpop            auth.DPoPMode
}

// register defines the flags.
func (v *vouchOptions) register(fs *pflag.FlagSet) {
	fs.Func("client-assertion-file", "a JWT that stands for the client is in this file", vouchedIn(&v.assertionFile))
	fs.Func("idp-token-endpoint", "have the identity provider there vouch for the user", v.setTokenEndpoint)
	fs.StringVar(&v.idpClientID, "idp-client-id", "", "as this client of the identity provider")
	fs.Func("idp-client-secret-file", "its secret there is in this file", v.readClientSecret)
	fs.Func("idp-id-token-file", "the user's ID token is in this file", vouchedIn(&v.idTokenFile))
	fs.BoolFunc("dpop", "accept only tokens that are bound to a key", v.setDPoP)
}

// check looks at what no flag can know by itself.
func (v *vouchOptions) check(a *authOptions) error {
	idp := []struct{ flag, value string }{{"idp-token-endpoint", v.idpTokenURL}, {"idp-client-id", v.idpClientID}, {"idp-id-token-file", v.idTokenFile}}
	given := ""
	for _, f := range idp {
		if f.value != "" {
			given = f.flag
		}
	}
	switch {
	case given == "" && v.idpClientSecret != "":
		return errors.New("--idp-client-secret-file is of no use without --idp-token-endpoint")
	case given == "" && v.assertionFile != "" && a.deviceCode:
		return errors.New("--client-assertion-file is for machines, --device-code for people: only one of them can be meant")
	case given == "":
		return nil
	case a.clientCredentials:
		return errors.New("--client-credentials is for machines, and an identity provider vouches for people: only one of them can be meant")
	case a.deviceCode:
		return errors.New("with an identity provider nobody is asked to sign in, with --device-code somebody is: only one of them can be meant")
	}
	for _, f := range idp {
		if f.value == "" {
			return fmt.Errorf("--%s needs --%s beside it", given, f.flag)
		}
	}
	if a.clientID == "" && a.clientMetadataURL == "" {
		return fmt.Errorf("--%s needs --client-id: the server has to know the client that the user is vouched for to", given)
	}
	return nil
}

// add adds what the flags say to what package auth has to know.
func (v *vouchOptions) add(cfg *auth.Config) {
	cfg.DPoP = v.dpop
	if v.assertionFile != "" {
		cfg.ClientAssertion = readerOf("client-assertion-file", v.assertionFile)
	}
	if v.idpTokenURL != "" {
		cfg.IdentityProvider = &auth.IdentityProvider{TokenURL: v.idpTokenURL, ClientID: v.idpClientID, ClientSecret: v.idpClientSecret, IDToken: readerOf("idp-id-token-file", v.idTokenFile)}
	}
}

// hint returns what to do about a refusal of what somebody vouched for, or of a proof, "" where that is
// not known.
func (v *vouchOptions) hint(err error) string {
	token, refused := errors.AsType[*auth.TokenError](err)
	switch {
	case errors.Is(err, auth.ErrNotVouched):
		return "see whether the ID token in --idp-id-token-file is not too old, and the other --idp flags are right"
	case refused && token.Code == "invalid_dpop_proof" && v.dpop == auth.DPoPNever:
		return "the server wants tokens that are bound to a key, so leave out --dpop=false"
	case refused && token.Code == "invalid_dpop_proof":
		return "see whether this machine's clock is right; --dpop=false does without such proofs, where the server allows that"
	case refused && token.Code == "invalid_grant" && v.idpTokenURL != "":
		return "those who run the server's authorization server have to let it trust the identity provider, and know the client by --client-id"
	case refused && token.Code == "invalid_grant" && v.assertionFile != "":
		return "see whether the JWT in --client-assertion-file is for this authorization server, and not too old"
	}
	return ""
}

func (v *vouchOptions) setTokenEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("must be a URL that begins with https://")
	}
	v.idpTokenURL = s
	return nil
}

func (v *vouchOptions) readClientSecret(name string) error {
	var err error
	v.idpClientSecret, err = readVouched(name)
	return err
}

func (v *vouchOptions) setDPoP(s string) error {
	on, err := strconv.ParseBool(s)
	v.dpop = auth.DPoPNever
	if on {
		v.dpop = auth.DPoPAlways
	}
	return err
}

// vouchedIn returns a function that takes the name of a file that will be read anew at each use, and sees
// whether it can be.
func vouchedIn(file *string) func(string) error {
	return func(name string) error {
		_, err := readVouched(name)
		*file = name
		return err
	}
}

// readerOf returns a function that reads the file that a flag names.
func readerOf(flag, file string) func() (string, error) {
	return func() (string, error) {
		text, err := readVouched(file)
		if err != nil {
			return "", fmt.Errorf("--%s: %w", flag, err)
		}
		return text, nil
	}
}

// readVouched returns the text in a file, without the space around it.
func readVouched(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return trimmed, nil
}
