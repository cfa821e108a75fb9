package auth

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// probeTimeout bounds one look at an endpoint.
const probeTimeout = 5 * time.Second

// Required reports whether the endpoint seems to want authorization: it answers 401 or 403, sends a
// WWW-Authenticate header, or can't be reached. Only the response's header is read, so an endless
// event stream does no harm.
func Required(ctx context.Context, client *http.Client, endpoint string) bool {
	p := probe{client: client, endpoint: endpoint, limit: probeTimeout}
	a, err := p.send(ctx, http.MethodGet)
	if err != nil {
		return true
	}
	return a.Status == http.StatusForbidden || a.wantsAuthorization()
}

// A probe is a request without content of consequence, to see what an endpoint answers.
type probe struct {
	client   *http.Client
	endpoint string
	header   http.Header   // of the user's, sent along
	limit    time.Duration // of one request
	read     int64         // how many bytes of an answer's body are kept
}

// An Answer is what an endpoint said to one request.
type Answer struct {
	Method string // of the request, HTTP
	URL    string // that answered, without query; another than asked for after a redirect
	Status int
	Header http.Header
	Body   []byte // its beginning; nothing of an event stream

	Received time.Time // when the header was here
}

// wantsAuthorization tells whether an answer asks for a token.
func (a *Answer) wantsAuthorization() bool {
	return a.Status == http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") != ""
}

// send sends the request, also on to where the endpoint redirects it within its origin.
func (p *probe) send(ctx context.Context, method string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	body := ""
	if method == http.MethodPost {
		body = `{"jsonrpc":"2.0","id":0,"method":"ping"}`
	}
	at := p.endpoint
	for redirects := 0; ; redirects++ {
		req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		p.setHeader(req)
		resp, err := p.client.Do(req)
		if err != nil {
			return nil, stripURL(err)
		}
		if next := redirectWithin(resp); next != nil && redirects < 5 {
			resp.Body.Close()
			at = next.String()
			continue
		}
		defer resp.Body.Close()
		a := &Answer{Method: method, URL: display(req.URL), Status: resp.StatusCode, Header: resp.Header, Received: time.Now()}
		if p.read > 0 && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			a.Body, _ = io.ReadAll(io.LimitReader(resp.Body, p.read)) // what there is will do
		}
		return a, nil
	}
}

func (p *probe) setHeader(req *http.Request) {
	for name, values := range p.header {
		if name == "Host" {
			req.Host = values[0]
		} else {
			req.Header[name] = values
		}
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	if req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
}

// redirectWithin returns where a response sends its request on to within the origin, else nil.
func redirectWithin(resp *http.Response) *url.URL {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if to, err := resp.Location(); err == nil && sameOrigin(to, resp.Request.URL) {
			return to
		}
	}
	return nil
}

// challenge asks the endpoint without a token, by POST, and by GET where POST wants none: some servers
// guard only one of them. It returns the answers, and the challenge of the last one if that wants a
// token.
func (p *probe) challenge(ctx context.Context) (answers []*Answer, c challenge, wanted bool, err error) {
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		a, err := p.send(ctx, method)
		if err != nil {
			return answers, c, false, err
		}
		answers = append(answers, a)
		if a.wantsAuthorization() {
			c, _ = tokenChallenge(a.Header, false)
			return answers, c, true, nil
		}
	}
	return answers, c, false, nil
}
