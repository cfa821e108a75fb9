package bridge

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// The notifications of subscriptions/listen (spec 5E).
const notificationAcknowledged = "notifications/subscriptions/acknowledged"

// keepListening keeps a subscriptions/listen request alive: when its stream breaks the request is made
// again, and whoever listens is told that what he listens to may have changed meanwhile (spec 6.64,
// 5.57). It ends with the server's result, with an error before the server has agreed, or with ctx.
func (s *modern) keepListening(ctx context.Context, c *call, sent sentFunc) error {
	honoured := object(nil) // what the server agreed to; nil before
	again := false
	c.filter = func(m *message) bool {
		if string(m.method) != notificationAcknowledged {
			return true
		}
		first := honoured == nil
		if honoured = readObject(m.params).child("notifications"); honoured == nil {
			honoured = object{}
		}
		for i, mem := range honoured {
			honoured[i].value = append([]byte(nil), mem.value...) // m is not ours to keep
		}
		if first {
			return true
		}
		if again {
			s.tellMissed(c, honoured)
		}
		return false
	}
	for failures := 0; ; failures++ {
		began := time.Now()
		connection, end := context.WithCancel(ctx)
		s.track(c, end)
		err := s.ask(connection, c, sent)
		s.track(c, nil)
		end()
		switch {
		case c.over():
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case honoured == nil:
			return err
		}
		if status := statusOf(err); status != nil && !passing(status.Code) {
			return err
		}
		if time.Since(began) > longLife {
			failures = 0
		}
		s.r.log.Debug("the stream of a subscription ended, asking for it again", "error", err)
		var at position
		if !sleep(ctx, at.delay(failures)) {
			return context.Cause(ctx)
		}
		again = true
		c.alias = ""
	}
}

// track notes how to end the connection of a listen request; nil: it has none.
func (s *modern) track(c *call, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listen == nil {
		s.listen = make(map[*call]func())
	}
	if s.listen[c] = end; end == nil {
		delete(s.listen, c)
	}
}

// tellMissed tells whoever listens that everything he listens to may have changed.
func (s *modern) tellMissed(c *call, honoured object) {
	for _, change := range missed(honoured) {
		s.r.to.fromServer(built(change.raw(c.id)), c)
	}
}

// A missedChange is a notification that may have been missed.
type missedChange struct {
	method string
	uri    []byte // raw JSON; nil unless it is about one resource
}

// raw returns the notification, for the subscription with this id if there is one.
func (m missedChange) raw(subscription []byte) []byte {
	params := object{}
	if m.uri != nil {
		params = append(params, member{"uri", m.uri})
	}
	if subscription != nil {
		params = append(params, member{"_meta", object{{mcp.MetaKeySubscriptionID, subscription}}.raw()})
	}
	return rawNotification(m.method, params.raw())
}

// missed returns what may have been missed of what a subscriptions/listen filter names.
func missed(filter object) []missedChange {
	var changes []missedChange
	for _, list := range changeableLists {
		if string(filter.get(list+"ListChanged")) == "true" {
			changes = append(changes, missedChange{method: "notifications/" + list + "/list_changed"})
		}
	}
	for _, uri := range elements(filter.get("resourceSubscriptions")) {
		changes = append(changes, missedChange{"notifications/resources/updated", uri})
	}
	return changes
}

// changeableLists are the lists whose changes a server may announce.
var changeableLists = []string{"tools", "prompts", "resources"}

// listenResult is the result that ends a subscriptions/listen request (spec 1.66).
func listenResult(id []byte) []byte {
	return object{{"resultType", []byte(`"complete"`)}, {"_meta", object{{mcp.MetaKeySubscriptionID, id}}.raw()}}.raw()
}

// endListens ends the listen requests of the host's, which would never end by themselves.
func (r *relay) endListens() {
	for _, c := range r.calls.all() {
		if c.is(mcp.MethodSubscriptionsListen) {
			r.calls.settle(c, rawResult(c.id, listenResult(c.id)))
			c.cancel(errStopped)
		}
	}
}
