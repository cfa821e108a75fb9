package bridge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mcp-bridge/bridge"
	"mcp-bridge/bridge/bridgetest"
)

// listening starts a modern server, and a host with a handshake on whose behalf the bridge listens.
func listening(t testing.TB, sc bridgetest.Config) (*host, *bridgetest.Server) {
	t.Helper()
	h, s := startBefore(t, sc, "2025-11-25", `{}`)
	eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
	return h, s
}

func subscribe(id, uri string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"resources/subscribe","params":{"uri":` + quoted(uri) + `}}`
}

func unsubscribe(id, uri string) string {
	return strings.Replace(subscribe(id, uri), "/subscribe", "/unsubscribe", 1)
}

func resourceUpdated(uri string) string {
	return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":` + quoted(uri) + `}}`
}

// wantSubscriptions waits until the server's one stream is that of a listen request with these URIs
// besides the lists.
func wantSubscriptions(t testing.TB, s *bridgetest.Server, uris ...string) {
	t.Helper()
	want := `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true`
	if len(uris) > 0 {
		want += `,"resourceSubscriptions":["` + strings.Join(uris, `","`) + `"]`
	}
	eventually(t, "one stream is open", func() bool { return s.Streams() == 1 })
	var filter map[string]any
	_ = json.Unmarshal(filterOf(t, lastRequest(t, s, listens)), &filter) // the server has read it
	if list, ok := filter["resourceSubscriptions"].([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if len(list) == 0 {
			delete(filter, "resourceSubscriptions")
		}
	}
	got, _ := json.Marshal(filter) // was read from JSON
	wantJSON(t, "the filter", got, want+"}")
}

// "notifications/*/list_changed, resources/updated (U listen): Forward without subscriptionId."
// "subscriptions/acknowledged, listen result (U): Consume." (5.84)
func TestHandshake_Changes(t *testing.T) {
	t.Parallel()
	for _, version := range revisions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h, s := startBefore(t, bridgetest.Config{}, version, `{}`)
			eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
			for _, list := range []string{"tools", "prompts", "resources"} {
				want := `{"jsonrpc":"2.0","method":"notifications/` + list + `/list_changed"}`
				s.Notify(want)
				got := h.next()
				if string(member(json.RawMessage(got), "method")) != `"notifications/`+list+`/list_changed"` || strings.Contains(got, "subscriptionId") {
					t.Errorf("the host got %s, want %s", got, want)
				}
			}
			wantNothingMore(t, h)
			eventually(t, "the stream is closed", func() bool { return s.Streams() == 0 })
		})
	}
}

// "resources/subscribe (D): Add URI; make-before-break: open a new listen with the full set, wait for
// ack, close the old one; reply {} once the ack lists the URI." "resources/unsubscribe (D): Remove URI,
// re-listen or close; reply {} (also for unknown URI)."
func TestHandshake_Subscribe(t *testing.T) {
	t.Parallel()
	h, s := listening(t, bridgetest.Config{})
	wantEmpty := func(id string) {
		t.Helper()
		if got, want := string(h.answer(id)), result(id); got != want {
			t.Errorf("the host got %s, want %s", got, want)
		}
	}
	h.send(subscribe("1", "test://a"))
	wantEmpty("1")
	wantSubscriptions(t, s, "test://a")
	h.send(subscribe("2", "test://b/ö"))
	wantEmpty("2")
	wantSubscriptions(t, s, "test://a", "test://b/ö")
	h.send(subscribe("3", "test://a")) // once more
	wantEmpty("3")
	wantSubscriptions(t, s, "test://a", "test://b/ö")

	s.Notify(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://a/part","n":1.0}}`)
	params := h.notification(updated)
	wantJSON(t, "the URI", member(params, "uri"), `"test://a/part"`)
	wantJSON(t, "the number", member(params, "n"), `1.0`)
	if strings.Contains(string(params), "subscriptionId") {
		t.Errorf("the host got %s", params)
	}

	h.send(unsubscribe("4", "test://a"))
	wantEmpty("4")
	wantSubscriptions(t, s, "test://b/ö")
	h.send(unsubscribe("5", "test://unknown"))
	wantEmpty("5")
	wantSubscriptions(t, s, "test://b/ö")
	s.Notify(resourceUpdated("test://a")) // nobody's any more
	s.Notify(resourceUpdated("test://b/ö"))
	wantJSON(t, "the URI", member(h.notification(updated), "uri"), `"test://b/ö"`)
	wantNothingMore(t, h)
	if n := s.Count("resources/subscribe") + s.Count("resources/unsubscribe") + s.Count("notifications/cancelled"); n > 0 {
		t.Errorf("the server got %q", names(s))
	}
}

// Between the old stream and the new one there is no gap: the old one is closed when the new one is
// acknowledged, not before, and no notification gets lost (make-before-break).
func TestHandshake_SubscribeMakesBeforeItBreaks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	count := make(chan struct{}, 9)
	h, s := listening(t, bridgetest.Config{Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method == listens {
			count <- struct{}{}
			if len(count) == 2 {
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
		}
		return false
	}})
	h.send(subscribe("1", "test://a"))
	arrives(t, s, listens, 2)
	if s.Streams() != 1 || s.Aborted(listens) > 0 {
		t.Fatalf("the old stream is closed before there is a new one")
	}
	s.Notify(listChanged)
	if got := h.next(); !strings.Contains(got, "tools/list_changed") { // and no answer yet
		t.Errorf("the host got %s", got)
	}
	close(release)
	wantResult(t, h, "1")
	eventually(t, "the old stream is closed", func() bool { return s.Streams() == 1 && s.Aborted(listens) == 1 })
	s.Notify(listChanged)
	h.notification("notifications/tools/list_changed")
	wantNothingMore(t, h)
}

// "resources/subscribe: ack omits the URI → -32602 "server does not support subscribing to <uri>"."
func TestHandshake_SubscribeRefused(t *testing.T) {
	t.Parallel()
	h, s := listening(t, bridgetest.Config{})
	h.send(subscribe("1", "test://a"))
	wantResult(t, h, "1")
	h.send(subscribe("2", "test://none"))
	answer := h.answer("2")
	if e := errorOf(t, answer); e.Code != -32602 || !strings.Contains(e.Message, "test://none") {
		t.Errorf("the error is %s, want -32602 that names the URI", answer)
	}
	eventually(t, "one stream is open", func() bool { return s.Streams() == 1 })
	s.Notify(resourceUpdated("test://a")) // still subscribed
	h.notification(updated)
	wantNothingMore(t, h)
}

// A subscription needs no listChanged to listen for.
func TestHandshake_SubscribeAlone(t *testing.T) {
	t.Parallel()
	h, s := startBefore(t, bridgetest.Config{Handle: without("nothing")}, "2025-11-25", `{}`)
	h.send(subscribe("1", "test://a"))
	wantResult(t, h, "1")
	eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
	wantJSON(t, "the filter", filterOf(t, lastRequest(t, s, listens)), `{"resourceSubscriptions":["test://a"]}`)
	s.Notify(resourceUpdated("test://a"))
	h.notification(updated)
	h.send(unsubscribe("2", "test://a"))
	wantResult(t, h, "2")
	eventually(t, "the stream is closed", func() bool { return s.Streams() == 0 })
	wantNothingMore(t, h)
}

// "listen result (U): on close: backoff, re-listen, then emit synthetic list_changed (+updated per
// URI)." (5.55, 5.57) mcp-remote leaves a dropped stream closed.
func TestHandshake_ListenDropped(t *testing.T) {
	drops := new(listeners)
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: drops.handle}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		eventually(t, "the bridge listens", func() bool { return s.Streams() == 1 })
		h.send(subscribe("1", "test://a"))
		wantResult(t, h, "1")
		eventually(t, "one stream is open", func() bool { return s.Streams() == 1 })
		for range 3 {
			drops.drop()
			time.Sleep(time.Minute)
			eventually(t, "the bridge listens again", func() bool { return s.Streams() == 1 })
			wantSubscriptions(t, s, "test://a")
			var got []string
			for range 4 {
				line := json.RawMessage(h.next())
				got = append(got, string(member(line, "method"))+string(member(line, "params", "uri")))
			}
			slices.Sort(got)
			want := []string{`"notifications/prompts/list_changed"`, `"notifications/resources/list_changed"`, `"notifications/resources/updated""test://a"`, `"notifications/tools/list_changed"`}
			if !slices.Equal(got, want) {
				t.Errorf("the host got\n%q, want\n%q", got, want)
			}
			s.Notify(listChanged)
			h.notification("notifications/tools/list_changed")
		}
		wantNothingMore(t, h)
	})
}

// A server that ends a listen in good order is listened to again as well.
func TestHandshake_ListenEnded(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: once(listens, func(w http.ResponseWriter, r *bridgetest.Request) {
		e := r.Events(w)
		_ = e.Send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(r.ID) + `},"notifications":{"toolsListChanged":true}}}`)
		_ = e.Send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + string(r.ID) + `}}`) // 8.01
		_ = e.Result(`{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":` + string(r.ID) + `}}`)
	})}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		time.Sleep(10 * time.Minute)
		if s.Streams() != 1 {
			t.Errorf("%d streams are open", s.Streams())
		}
		for _, line := range append(h.others, h.end()...) {
			if !strings.Contains(line, "list_changed") {
				t.Errorf("this came: %s", line)
			}
		}
	})
}

// "listen: U never supports listen → no change events." The host hears of nothing, and the server is
// not pestered.
func TestHandshake_ListenRefused(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter, *bridgetest.Request){
		"404 and -32601": fails(404, `{"code":-32601,"message":"Method not found"}`),
		"200 and -32601": fails(200, `{"code":-32601,"message":"Method not found"}`),
		"400 and -32602": fails(400, `{"code":-32602,"message":"Invalid params"}`),
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(listens, answer)}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
				h := startHost(t, cfg)
				h.capable("2025-11-25", `{}`)
				time.Sleep(24 * time.Hour)
				if n := s.Count(listens); n != 1 {
					t.Errorf("in a day the server was asked %d times", n)
				}
				h.send(listTools("1"))
				wantResult(t, h, "1")
				h.send(subscribe("2", "test://a"))
				errorOf(t, h.answer("2"))
				wantNothingMore(t, h)
			})
		})
	}
}

// A server that is away is asked again, ever more slowly.
func TestHandshake_ListenBackoff(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: always(listens, status(503))}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		time.Sleep(10 * time.Minute)
		if n := s.Count(listens); n < 4 || n > 100 {
			t.Errorf("in ten minutes the server was asked %d times", n)
		}
		h.send(listTools("1"))
		wantResult(t, h, "1")
		wantNothingMore(t, h)
	})
}

// A stream on which nothing happens is no request without an answer, whatever the limit for those.
func TestHandshake_ListenQuiet(t *testing.T) {
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		cfg.ResponseTimeout = time.Minute
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		time.Sleep(24 * time.Hour)
		if n := s.Count(listens); n != 1 || s.Streams() != 1 {
			t.Errorf("after a day there were %d requests, and %d streams are open", n, s.Streams())
		}
		s.Notify(listChanged)
		h.notification("notifications/tools/list_changed")
		wantNothingMore(t, h)
	})
}

// A host that makes a second handshake is told the same again, and the bridge listens once.
func TestHandshake_Twice(t *testing.T) {
	t.Parallel()
	h, s := listening(t, bridgetest.Config{})
	h.send(subscribe("1", "test://a"))
	wantResult(t, h, "1")
	h.capable("2025-06-18", `{}`)
	h.send(listTools("2"))
	wantResult(t, h, "2")
	eventually(t, "the bridge listens once", func() bool { return s.Streams() == 1 })
	s.Notify(listChanged)
	h.notification("notifications/tools/list_changed")
	wantNothingMore(t, h)
	eventually(t, "the stream is closed", func() bool { return s.Streams() == 0 })
}

// Many subscriptions at once end up in one stream with all of them, whatever order they take.
func TestHandshake_SubscribeMany(t *testing.T) {
	t.Parallel()
	h, s := listening(t, bridgetest.Config{})
	var ids []string
	for i := range 6 {
		ids = append(ids, fmt.Sprint(i))
		h.send(subscribe(ids[i], []string{"test://a", "test://b/ö"}[i%2]))
	}
	for id, answer := range h.answersTo(ids) {
		if member(answer, "result") == nil {
			t.Errorf("%s is answered %s", id, answer)
		}
	}
	wantSubscriptions(t, s, "test://a", "test://b/ö")
	for _, uri := range []string{"test://a", "test://b/ö"} {
		s.Notify(resourceUpdated(uri))
		wantJSON(t, "the URI", member(h.notification(updated), "uri"), quoted(uri))
	}
	wantNothingMore(t, h)
}

// "drop duplicates during the swap": while both streams are there a change that comes on both is told
// once, and one that comes on either alone is told too.
func TestHandshake_SubscribeSwap(t *testing.T) {
	var streams []*bridgetest.EventStream
	inFakeTime(t, bridgetest.Config{Versions: bridgetest.Modern, Handle: func(w http.ResponseWriter, r *bridgetest.Request) bool {
		if r.Method != listens {
			return false
		}
		e := r.Events(w)
		streams = append(streams, e)
		_ = e.Send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(r.ID) + `},"notifications":` + string(filterOf(t, r)) + `}}`)
		<-r.Context().Done()
		return true
	}}, func(t *testing.T, s *bridgetest.Server, cfg bridge.Config) {
		h := startHost(t, cfg)
		h.capable("2025-11-25", `{}`)
		arrives(t, s, listens, 1)
		h.send(subscribe("1", "test://a"))
		wantResult(t, h, "1")
		for _, test := range []struct {
			change string
			on     []int // the streams, in this order
			want   int
		}{
			{listChanged, []int{0, 1}, 1},
			{strings.Replace(listChanged, "tools", "prompts", 1), []int{1, 0}, 1},
			{strings.Replace(listChanged, "tools", "resources", 1), []int{0}, 1},
			{resourceUpdated("test://a"), []int{1}, 1},
			{resourceUpdated("test://a/part"), []int{0, 1, 1, 0}, 2},
			{resourceUpdated("test://b"), []int{0}, 0}, // nobody's
		} {
			for _, i := range test.on {
				_ = streams[i].Send(test.change)
			}
			for range test.want {
				if got := h.next(); got != test.change {
					t.Errorf("the host got %s, want %s", got, test.change)
				}
			}
		}
		h.send(listTools("2"))
		wantResult(t, h, "2")
		eventually(t, "the old stream is closed", func() bool { return s.Aborted(listens) == 1 })
		_ = streams[1].Send(listChanged)
		h.notification("notifications/tools/list_changed")
		wantNothingMore(t, h)
	})
}
