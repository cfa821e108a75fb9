package bridge

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// askURLs puts the web pages to the host that the server wants visited before it takes the request: a
// server of 2025-11-25 says so with an error (spec 6C).
func (u *upcall) askURLs(c *call) error {
	if _, ok := u.meta.can(string(mcp.MethodElicitationCreate), object{{"mode", []byte(`"url"`)}}); !ok {
		return &rpcError{mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, "the server needs something done at a web page (elicitation by URL)",
			answerData{RequiredCapabilities: []byte(`{"elicitation":{"url":{}}}`)}}
	}
	u.mu.Lock()
	u.questions = nil
	for i, raw := range elements(readObject(u.answer.err).child("data").get("elicitations")) {
		e := readObject(bytes.Clone(raw)).with("mode", []byte(`"url"`))
		u.questions = append(u.questions, &question{key: strconv.Itoa(i + 1), method: string(mcp.MethodElicitationCreate), params: e, notify: make(chan struct{})})
	}
	none := len(u.questions) == 0
	u.mu.Unlock()
	if none {
		return u.l.t.r.deliver(u.l.answer(c.message, u.answer), c)
	}
	for _, q := range u.questions {
		u.l.watch(q)
	}
	return u.l.t.r.deliver(rawResult(c.id, u.park()), c)
}

// restart makes the request again after the host has been to the web pages.
func (u *upcall) restart(ctx context.Context, c *call, responses object) error {
	u.mu.Lock()
	questions := u.questions
	u.mu.Unlock()
	limit := time.NewTimer(completeWait)
	defer limit.Stop()
	for _, q := range questions {
		answer := responses.child(q.key)
		if answer == nil {
			return u.l.t.r.deliver(rawResult(c.id, u.park()), c)
		}
		if action := answer.text("action"); action != "accept" {
			return &rpcError{code: codeInternalError, text: fmt.Sprintf("the server needs %s visited first, and the user did not agree", q.params.text("url"))}
		}
		select {
		case <-q.notify:
		case <-limit.C:
			limit.Reset(0)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	next := u.l.newUpcall(c, u.meta)
	return next.finish(next.await(ctx, c, func(bool) {}))
}

// watch lets a question by URL know when the server says that it is done.
func (l *link) watch(q *question) {
	id := q.params.text("elicitationId")
	if id == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watched == nil {
		l.watched = make(map[string]chan struct{})
	}
	l.watched[id] = q.notify
}

func (l *link) elicited(m *message, _ *call) {
	id := readObject(m.params).text("elicitationId")
	l.mu.Lock()
	defer l.mu.Unlock()
	if done := l.watched[id]; done != nil {
		close(done)
		delete(l.watched, id)
	}
}
