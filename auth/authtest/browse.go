package authtest

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A Browser stands in for a browser and the user before it. It follows redirects, on loopback
// only, and presses Allow on the consent page. Its methods may be called concurrently.
type Browser struct {
	Deny      bool              // press Deny
	Delay     time.Duration     // the user takes this long to begin
	Transport http.RoundTripper // nil means one without a proxy. With one of its own a Browser goes anywhere.

	mu     sync.Mutex
	opened []string
	pages  []Page
	work   sync.WaitGroup
}

// A Page is what a visit ended at.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// Open visits a URL in the background, as a real browser does. It always returns nil.
func (b *Browser) Open(url string) error {
	b.mu.Lock()
	b.opened = append(b.opened, url)
	b.mu.Unlock()
	// Ends with the visit, which is bound.
	b.work.Go(func() {
		time.Sleep(b.Delay)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		page, err := b.Visit(ctx, url)
		if err != nil {
			page.Body = err.Error()
		}
		b.mu.Lock()
		b.pages = append(b.pages, page)
		b.mu.Unlock()
	})
	return nil
}

// Opened returns the URLs that Open was called with.
func (b *Browser) Opened() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.opened...)
}

// Pages waits for the visits that Open began, and returns what they ended at. The status of one
// that failed is 0, and its body says why.
func (b *Browser) Pages() []Page {
	b.work.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Page(nil), b.pages...)
}

// Browse visits a URL with a new Browser.
func Browse(ctx context.Context, url string) (Page, error) { return new(Browser).Visit(ctx, url) }

// Visit goes to a URL, and returns the page that is there when there is nothing to press any more.
func (b *Browser) Visit(ctx context.Context, to string) (Page, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return Page{}, err
	}
	client := &http.Client{Jar: jar, Transport: b.Transport}
	if b.Transport == nil {
		client.Transport = &http.Transport{DisableKeepAlives: true}
		client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
			if len(via) > 10 || !isLoopback(req.URL.Hostname()) {
				return fmt.Errorf("redirected to %s after %d others", req.URL.Redacted(), len(via))
			}
			return nil
		}
		if u, err := url.Parse(to); err != nil || !isLoopback(u.Hostname()) {
			return Page{}, errors.New("not a URL on loopback")
		}
	}
	page, err := get(ctx, client, http.MethodGet, to, "")
	if err != nil {
		return page, err
	}
	action, form := b.answer(page)
	if action == "" {
		return page, nil
	}
	return get(ctx, client, http.MethodPost, action, form.Encode())
}

// answer returns the form that the user would send from a consent page, or "".
func (b *Browser) answer(page Page) (action string, form url.Values) {
	found := regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindStringSubmatch(page.Body)
	base, err := url.Parse(page.URL)
	if found == nil || err != nil {
		return "", nil
	}
	u, err := base.Parse(html.UnescapeString(found[1]))
	if err != nil {
		return "", nil
	}
	form = url.Values{"decision": {"allow"}}
	if b.Deny {
		form.Set("decision", "deny")
	}
	for _, input := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(page.Body, -1) {
		form.Set(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	return u.String(), form
}

func get(ctx context.Context, client *http.Client, method, to, form string) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form))
	if err != nil {
		return Page{}, err
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Page{URL: resp.Request.URL.String(), Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}
