package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A server that sends no end of cookies gets back a few, among them the first ones in their latest state.
func TestCookiesAreBounded(t *testing.T) {
	u, err := url.Parse("https://mcp.example/mcp")
	if err != nil {
		t.Fatal(err)
	}
	jar := &cookieJar{}
	jar.SetCookies(u, []*http.Cookie{{Name: "node", Value: "1", Path: "/"}, {Name: "huge", Value: strings.Repeat("x", maxCookie), Path: "/"}})
	for i := range 10_000 {
		jar.SetCookies(u, []*http.Cookie{{Name: fmt.Sprint("c", i), Value: "x", Path: "/"}, {Name: "node", Value: fmt.Sprint(i), Path: "/"}})
	}
	got := make(map[string]string)
	for _, cookie := range jar.Cookies(u) {
		got[cookie.Name] = cookie.Value
	}
	if len(got) != maxCookies || got["node"] != "9999" || got["huge"] != "" {
		t.Errorf("%d cookies, node=%s, huge of %d bytes", len(got), got["node"], len(got["huge"]))
	}
}
