package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"sync/atomic"
)

// What is kept of a server's cookies. Browsers keep no more of a single one, and not many more of a site.
const (
	maxCookies = 100
	maxCookie  = 4 << 10 // bytes of its name, value, domain and path
)

// A cookieJar is a jar with bounds, as a server may send no end of cookies; what does not fit is not kept. It
// costs nothing as long as no cookie was set, as few servers set one: to find out that there is none for a URL
// takes net/http's longer than much else about a request.
type cookieJar struct {
	jar atomic.Pointer[cookiejar.Jar]

	mu    sync.Mutex
	known map[string]bool // by name, domain and path
}

// Cookies returns the cookies for a request.
func (j *cookieJar) Cookies(u *url.URL) []*http.Cookie {
	if jar := j.jar.Load(); jar != nil {
		return jar.Cookies(u)
	}
	return nil
}

// SetCookies keeps the cookies of a response.
func (j *cookieJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.known == nil {
		j.known = make(map[string]bool)
		jar, _ := cookiejar.New(nil) // has no error to return
		j.jar.Store(jar)
	}
	var kept []*http.Cookie
	for _, cookie := range cookies {
		key := cookie.Name + "\x00" + cookie.Domain + "\x00" + cookie.Path
		if len(key)+len(cookie.Value) > maxCookie || !j.known[key] && len(j.known) == maxCookies {
			continue
		}
		j.known[key] = true
		kept = append(kept, cookie)
	}
	j.jar.Load().SetCookies(u, kept)
}
