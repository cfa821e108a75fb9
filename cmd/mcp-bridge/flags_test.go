package main

import (
	"io"
	"net/http"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{
		"1": 1, "1048576": 1 << 20, "3k": 3 << 10, "3KiB": 3 << 10, "10m": 10 << 20, "10MIB": 10 << 20, "1g": 1 << 30, "8GiB": 8 << 30,
		"": 0, "0": 0, "-1": 0, "k": 0, "1.5m": 0, "1 k": 0, "1kb": 0, "1MB": 0, "1kk": 0, "1b": 0, "1ib": 0, "9223372036854775807k": 0, "9007199254740993k": 0,
	} {
		var o options
		err := o.setMaxMessage(in)
		if o.maxMessage != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d and the error %v, want %d", in, o.maxMessage, err, want)
		}
	}
}

func TestDurations(t *testing.T) {
	const wrong = -1
	for in, want := range map[string]time.Duration{
		"10": 10 * time.Second, "10s": 10 * time.Second, "1m30s": 90 * time.Second, "0": 0, "250ms": 250 * time.Millisecond,
		"": wrong, "-1": wrong, "-1s": wrong, "1.5": wrong, "10 s": wrong, "99999999999": wrong, "x": wrong,
	} {
		got := time.Duration(wrong)
		err := durationInto(&got)(in)
		if got != want || (err == nil) != (want != wrong) {
			t.Errorf("%q: got %v and the error %v, want %v", in, got, err, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "localhost.": true, "a.b.localhost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.com": false, "notlocalhost": false, "127.0.0.1.com": false, "128.0.0.1": false, "0.0.0.0": false, "::": false, "::2": false,
		"127.1": false, "2130706433": false, "0x7f.1": false, // odd spellings are looked up as names
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("%q: got %t", host, got)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"A: b", "A:b", "A : b:c", "A: ${HOME}", "A: ${", "A: ${}", "A:\r\nB: c", "", ":", "\x00:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h := http.Header{}
		if err := addHeader(h, s); err != nil {
			if len(h) > 0 {
				t.Errorf("an error, and a header all the same: %q", h)
			}
			return
		}
		// What we take, net/http has to take as well: it would fail each request otherwise.
		req, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
		req.Header = h
		if err := req.Write(io.Discard); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}
