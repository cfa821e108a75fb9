package auth

import (
	"fmt"
	"math/rand"
	"net/http"
	"strings"
	"testing"
)

const prmURL = "https://mcp.example/.well-known/oauth-protected-resource/mcp"

func TestTokenChallenge(t *testing.T) {
	t.Parallel()
	where := challenge{resourceMetadata: prmURL}
	for _, test := range []struct {
		name  string
		lines []string
		want  challenge
		none  bool // there is no Bearer challenge
	}{
		{name: "nothing", none: true},
		{name: "empty", lines: []string{""}, none: true},
		{name: "only commas", lines: []string{" , ,, "}, none: true},
		{name: "another scheme", lines: []string{`Basic realm="x"`}, none: true},
		{name: "a parameter before any scheme", lines: []string{`resource_metadata="` + prmURL + `"`}, none: true},
		{name: "another scheme that begins with bearer", lines: []string{`BearerToken realm="x"`}, none: true},

		{name: "without parameters", lines: []string{"Bearer"}},
		{name: "with a realm only", lines: []string{`Bearer realm="x"`}},
		{name: "the spec's example", lines: []string{`Bearer resource_metadata="` + prmURL + `", scope="files:read"`},
			want: challenge{resourceMetadata: prmURL, scope: "files:read"}},
		{name: "all of it", lines: []string{`Bearer realm="x", error="insufficient_scope", error_description="no", scope="a b", resource_metadata="` + prmURL + `"`},
			want: challenge{resourceMetadata: prmURL, scope: "a b", errorCode: "insufficient_scope", description: "no"}},

		// D3: unusual but legal, or at least common.
		{name: "cases", lines: []string{`bEARER RESOURCE_Metadata="` + prmURL + `"`}, want: where},
		{name: "values keep their case", lines: []string{`Bearer scope="Files.Read"`}, want: challenge{scope: "Files.Read"}},
		{name: "spaces round =", lines: []string{"Bearer resource_metadata \t=\t \"" + prmURL + `"`}, want: where},
		{name: "many spaces after the scheme", lines: []string{`Bearer    resource_metadata="` + prmURL + `"`}, want: where},
		{name: "token value", lines: []string{`Bearer error=invalid_token, scope=a`}, want: challenge{errorCode: "invalid_token", scope: "a"}},
		{name: "URL without quotes", lines: []string{`Bearer resource_metadata=` + prmURL + `?a=b, error=invalid_token`},
			want: challenge{resourceMetadata: prmURL + "?a=b", errorCode: "invalid_token"}},
		{name: "single quotes", lines: []string{`Bearer resource_metadata='` + prmURL + `', scope='a b'`}, want: challenge{resourceMetadata: prmURL, scope: "a b"}},
		{name: "commas and escaped quotes inside quotes", lines: []string{`Bearer error_description="a, \"b\", scope=\"x\" \\", resource_metadata="` + prmURL + `"`},
			want: challenge{resourceMetadata: prmURL, description: `a, "b", scope="x" \`}},
		{name: "= inside quotes", lines: []string{`Bearer error_description="Bearer resource_metadata=https://evil.example/", resource_metadata="` + prmURL + `"`},
			want: challenge{resourceMetadata: prmURL, description: "Bearer resource_metadata=https://evil.example/"}},
		{name: "no commas", lines: []string{`Bearer error="invalid_token" resource_metadata="` + prmURL + `"`}, want: challenge{resourceMetadata: prmURL, errorCode: "invalid_token"}},
		{name: "empty list members", lines: []string{`,Bearer ,, resource_metadata="` + prmURL + `",`}, want: where},
		{name: "no spaces at all", lines: []string{`Bearer error="x",scope="y",resource_metadata="` + prmURL + `"`}, want: challenge{resourceMetadata: prmURL, errorCode: "x", scope: "y"}},
		{name: "no closing quote", lines: []string{`Bearer resource_metadata="` + prmURL}, want: where},
		{name: "a backslash at the end", lines: []string{`Bearer scope="a\`}, want: challenge{scope: `a\`}},
		{name: "an empty value", lines: []string{`Bearer scope="", resource_metadata="` + prmURL + `"`}, want: where},
		{name: "a parameter twice", lines: []string{`Bearer scope="a", scope="b"`}, want: challenge{scope: "a"}},
		{name: "an unknown parameter", lines: []string{`Bearer x="y", resource_metadata="` + prmURL + `", z=1`}, want: where},

		// Several challenges.
		{name: "after another", lines: []string{`Basic realm="a, b", Bearer resource_metadata="` + prmURL + `"`}, want: where},
		{name: "before another", lines: []string{`Bearer resource_metadata="` + prmURL + `", Digest realm="x", qop="auth,auth-int", scope="no", nonce=y`}, want: where},
		{name: "after a token68", lines: []string{`Negotiate YIIGAb+c/d==, Bearer resource_metadata="` + prmURL + `"`}, want: where},
		{name: "after a scheme alone", lines: []string{`Negotiate, Bearer resource_metadata="` + prmURL + `"`}, want: where},
		{name: "beside DPoP", lines: []string{`DPoP algs="ES256", resource_metadata="https://evil.example/", Bearer resource_metadata="` + prmURL + `"`}, want: challenge{resourceMetadata: prmURL, dpop: dpopToo, algorithms: "ES256"}},
		{name: "DPoP alone", lines: []string{`DPoP algs="ES256 RS256", resource_metadata="` + prmURL + `"`}, want: challenge{resourceMetadata: prmURL, dpop: dpopOnly, algorithms: "ES256 RS256"}},
		{name: "DPoP says where", lines: []string{`Bearer scope="a"`, `DPoP error="x", resource_metadata="` + prmURL + `"`}, want: challenge{resourceMetadata: prmURL, scope: "a", dpop: dpopToo}},
		{name: "on a line of its own", lines: []string{`Basic realm="x"`, `Bearer resource_metadata="` + prmURL + `"`}, want: where},
		{name: "two of them", lines: []string{`Bearer realm="x"`, `Bearer resource_metadata="` + prmURL + `"`}, want: where},
		{name: "two of them that say where", lines: []string{`Bearer resource_metadata="` + prmURL + `", Bearer resource_metadata="https://other.example/"`}, want: where},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, ok := readChallenge(t, test.lines...)
			if got != test.want || ok == test.none {
				t.Errorf("%q:\ngot  %+v, %v\nwant %+v, %v", test.lines, got, ok, test.want, !test.none)
			}
		})
	}
}

// Who has sent a bound token is told so by the challenge to DPoP.
func TestTokenChallengeForBoundTokens(t *testing.T) {
	t.Parallel()
	h := http.Header{"Www-Authenticate": {`Bearer error="invalid_token", resource_metadata="` + prmURL + `"`, `DPoP error="use_dpop_nonce", scope="b"`}}
	for bound, want := range map[bool]challenge{
		true:  {resourceMetadata: prmURL, errorCode: "use_dpop_nonce", scope: "b", dpop: dpopToo},
		false: {resourceMetadata: prmURL, errorCode: "invalid_token", dpop: dpopToo},
	} {
		if got, ok := tokenChallenge(h, bound); !ok || got != want {
			t.Errorf("bound %v: %+v, want %+v", bound, got, want)
		}
	}
}

// Whatever comes, the parser ends without panic, and a well-formed challenge with random parameters
// among other challenges is read as it was written.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer resource_metadata="x"`, prmURL, "a b", "invalid_token", `a, "b" \`, int64(1))
	f.Add(`Bearer, DPoP algs="ES256", error=use_dpop_nonce`, prmURL, "a", "", "", int64(4))
	f.Add(`Negotiate YII==, Bearer a='b`, "", "", "", "", int64(2))
	f.Add("Bearer a=\"\\", "\x00", "\\", `"`, "=,'", int64(3))
	for _, raw := range []string{ // D3
		`bearer Resource_Metadata = "http://127.0.0.1:1/odd/prm"`, `Bearer error_description="a, \"b\"", resource_metadata=http://127.0.0.1:1/odd/prm`,
		`Bearer resource_metadata='http://127.0.0.1:1/odd/prm'`, `Bearer`, `Bearer ,,,`, `Basic realm="x", Bearer scope="a b"`, `Bearer error="invalid_token" error_description="no comma"`,
	} {
		f.Add(raw, "", "", "", "", int64(4))
	}
	f.Fuzz(func(t *testing.T, raw, metadata, scope, code, description string, seed int64) {
		readChallenge(t, raw, raw)
		want := challenge{resourceMetadata: metadata, scope: scope, errorCode: code, description: description}
		header := writeChallenge(rand.New(rand.NewSource(seed)), want)
		if got, ok := readChallenge(t, header); !ok || got != want {
			t.Errorf("%q:\ngot  %+v, %v\nwant %+v", header, got, ok, want)
		}
	})
}

// readChallenge is tokenChallenge. A panic there would be the end of the program.
func readChallenge(t *testing.T, lines ...string) (challenge, bool) {
	t.Helper()
	defer func() {
		if trouble := recover(); trouble != nil {
			t.Errorf("%q: panic: %v", lines, trouble)
		}
	}()
	return tokenChallenge(http.Header{"Www-Authenticate": lines}, false)
}

// writeChallenge writes a Bearer challenge in one of the ways that RFC 9110 allows.
func writeChallenge(r *rand.Rand, c challenge) string {
	pick := func(from ...string) string { return from[r.Intn(len(from))] }
	params := [][2]string{
		{pick("resource_metadata", "Resource_Metadata"), c.resourceMetadata}, {pick("scope", "SCOPE"), c.scope},
		{"error", c.errorCode}, {"error_description", c.description}, {"realm", `Bearer scope="no"`}, {"x", "y"},
	}
	r.Shuffle(len(params), func(i, j int) { params[i], params[j] = params[j], params[i] })
	var written []string
	for _, p := range params {
		value := p[1]
		if isToken(value) && r.Intn(2) == 0 {
			written = append(written, p[0]+pick("=", " = ", "=\t")+value)
			continue
		}
		var quoted strings.Builder
		for i := range len(value) {
			if value[i] == '"' || value[i] == '\\' || r.Intn(8) == 0 {
				quoted.WriteByte('\\') // any octet may be escaped (RFC 9110 5.6.4)
			}
			quoted.WriteByte(value[i])
		}
		written = append(written, fmt.Sprintf("%s%s\"%s\"", p[0], pick("=", " = ", "= "), quoted.String()))
	}
	return pick("", "Negotiate, ", `Basic realm="a, b", `, "NTLM TlRM==, ") + pick("Bearer ", "bearer  ") +
		strings.Join(written, pick(", ", ",", " ,\t")) + pick("", ", Negotiate", `, Digest scope="no", qop="auth,auth-int"`)
}

// isToken tells whether a value can be written without quotes (RFC 9110 5.6.2).
func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool { return c >= 0x80 || !isTokenByte(byte(c)) }) < 0
}
