package bridge

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// A subscriber is a subscriptions/listen request of a modern host's, which the bridge serves in place of a
// handshake server (spec 6C).
type subscriber struct {
	call     *call
	l        *link
	honoured object
	uris     []string
}

// listen serves a subscriptions/listen request until the host cancels it.
func (t *toHandshake) listen(ctx context.Context, c *call, sent sentFunc) error {
	params := readObject(c.params)
	meta, err := readMeta(params)
	if err != nil {
		return err
	}
	wanted := params.child("notifications")
	if wanted == nil {
		return &rpcError{code: mcp.INVALID_PARAMS, text: "subscriptions/listen has no notifications"} // spec 5.50
	}
	l, err := t.link(ctx, meta)
	if err != nil {
		return err
	}
	sent(true)
	s := &subscriber{call: c, l: l, honoured: object{}}
	capabilities := l.result().child("capabilities")
	for _, list := range changeableLists {
		if key := list + "ListChanged"; string(wanted.get(key)) == "true" && string(capabilities.child(list).get("listChanged")) == "true" {
			s.honoured = append(s.honoured, member{key, []byte("true")})
		}
	}
	for _, uri := range texts(wanted.get("resourceSubscriptions")) {
		if string(capabilities.child("resources").get("subscribe")) == "true" && l.subscribe(ctx, uri) {
			s.uris = append(s.uris, uri)
		}
	}
	if len(s.uris) > 0 {
		s.honoured = append(s.honoured, member{"resourceSubscriptions", encodeTexts(s.uris)})
	}
	ack := object{{"notifications", s.honoured.raw()}, subscriptionMeta(c.id)}
	t.telling.Lock()
	if !c.over() {
		t.r.out.write(rawNotification(notificationAcknowledged, ack.raw()))
		t.mu.Lock()
		t.listens = append(t.listens, s)
		t.mu.Unlock()
	}
	t.telling.Unlock()
	<-ctx.Done()
	t.mu.Lock()
	t.listens = slices.DeleteFunc(t.listens, func(other *subscriber) bool { return other == s })
	t.mu.Unlock()
	for _, uri := range s.uris {
		l.unsubscribe(uri)
	}
	return context.Cause(ctx)
}

func subscriptionMeta(id []byte) member {
	return member{"_meta", object{{mcp.MetaKeySubscriptionID, id}}.raw()}
}

// subscribe makes sure that the session is subscribed to a resource, and returns whether it is.
func (l *link) subscribe(ctx context.Context, uri string) bool {
	l.mu.Lock()
	l.uris[uri]++
	first := l.uris[uri] == 1
	l.mu.Unlock()
	if !first {
		return true
	}
	answer, err := l.call(ctx, l.inner.newRequest(string(mcp.MethodResourcesSubscribe), object{{"uri", quote(uri)}}), nil)
	if err == nil && !answer.failed {
		return true
	}
	l.mu.Lock()
	delete(l.uris, uri)
	l.mu.Unlock()
	return false
}

// unsubscribe ends that when nobody listens any more. It does not wait for the server.
func (l *link) unsubscribe(uri string) {
	l.mu.Lock()
	l.uris[uri]--
	last := l.uris[uri] <= 0
	if last {
		delete(l.uris, uri)
	}
	l.mu.Unlock()
	if last && l.t.r.ctx.Err() == nil {
		l.feed(l.inner.newRequest(string(mcp.MethodResourcesUnsubscribe), object{{"uri", quote(uri)}}), func([]byte) {})
	}
}

// changed tells those who listen to it that something has changed (spec 1.52).
func (l *link) changed(m *message, _ *call) {
	t := l.t
	if m.is("notifications/tools/list_changed") {
		l.mu.Lock()
		l.listed = false
		l.mu.Unlock()
	}
	t.telling.Lock()
	defer t.telling.Unlock()
	t.mu.Lock()
	listens := slices.Clone(t.listens)
	t.mu.Unlock()
	params := readObject(bytes.Clone(m.params))
	for _, s := range listens {
		c := s.call
		if s.l != l || c.over() || !s.hears(m, params.text("uri")) {
			continue
		}
		meta := append(params.child("_meta").without(mcp.MetaKeySubscriptionID), member{mcp.MetaKeySubscriptionID, c.id})
		t.r.out.write(rawNotification(string(m.method), params.with("_meta", meta.raw()).raw()))
	}
}

// missed tells those who listen to resources that a new session may have missed changes of them (spec 5.57).
func (l *link) missed(uris []string) {
	for _, uri := range uris {
		l.changed(built(missedChange{"notifications/resources/updated", quote(uri)}.raw(nil)), nil)
	}
}

// hears tells whether a listen request asked for a notification. An update may be of a part of the
// resource (spec 5.56).
func (s *subscriber) hears(m *message, uri string) bool {
	if uri != "" {
		return slices.ContainsFunc(s.uris, func(want string) bool { return strings.HasPrefix(uri, want) })
	}
	list, _ := strings.CutPrefix(string(m.method), "notifications/")
	list, _ = strings.CutSuffix(list, "/list_changed")
	return s.honoured.has(list + "ListChanged")
}
