package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
)

// What is kept of a server's cookies. Browsers keep no more of a single one, and not many more of a site.
const (
	maxCookies = 100
	maxCookie  = 4 << 10 // bytes of its name, value, domain and path
)

// cookies is a cookie jar with bounds, as a server may send no end of them. What does not fit is not kept.
type cookies struct {
	*cookiejar.Jar
	mu    sync.Mutex
	known map[string]bool // by name, domain and path
}

func newCookies() *cookies {
	jar, _ := cookiejar.New(nil) // has no error to return
	return &cookies{Jar: jar, known: make(map[string]bool)}
}

func (c *cookies) SetCookies(u *url.URL, set []*http.Cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []*http.Cookie
	for _, cookie := range set {
		key := cookie.Name + "\x00" + cookie.Domain + "\x00" + cookie.Path
		if len(key)+len(cookie.Value) > maxCookie || !c.known[key] && len(c.known) == maxCookies {
			continue
		}
		c.known[key] = true
		kept = append(kept, cookie)
	}
	c.Jar.SetCookies(u, kept)
}
