package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// questions are those that a server has in the course of one call of the host's.
type questions struct {
	t       *toModern
	rounds  int
	visited map[string][]byte // URLs that the host has taken the user to, and the ids made for that
	waited  time.Duration
}

// ask puts the questions of one round to the host, side by side, and returns its answers. The error
// says in words for a person why there are none.
func (q *questions) ask(ctx context.Context, requests object) (object, error) {
	if q.rounds++; q.rounds > askRounds {
		return nil, fmt.Errorf("the server asked for input %d times and still did not finish", askRounds)
	}
	if len(requests) == 0 {
		if !sleep(ctx, paceRounds) {
			return nil, context.Cause(ctx)
		}
		return nil, nil
	}
	if len(requests) > maxAsked {
		return nil, fmt.Errorf("the server asks for %d things at once; no more than %d are put to anybody", len(requests), maxAsked)
	}
	if q.again(requests) {
		return q.wait(ctx, requests)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make(object, len(requests))
	var work sync.WaitGroup
	for i, m := range requests {
		work.Go(func() { // ends with the host's answer, or with ctx
			answer, err := q.one(ctx, readObject(m.value))
			if err != nil {
				cancel(err) // the others are asked in vain
			}
			answers[i] = member{m.key, answer}
		})
	}
	work.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answers, nil
}

// again tells whether a server only asks whether the user has been where he was sent already.
func (q *questions) again(requests object) bool {
	for _, m := range requests {
		if url := readObject(m.value).child("params").text("url"); url == "" || q.visited[url] == nil {
			return false
		}
	}
	return true
}

// wait gives the user time for what he does at a URL, instead of sending him there again (spec 8.10).
func (q *questions) wait(ctx context.Context, requests object) (object, error) {
	q.rounds--
	delay := min(time.Second+q.waited/4, 15*time.Second)
	if q.waited += delay; q.waited > q.t.r.cfg.InputTimeout {
		return nil, errors.New("the server still waits for what was to be done in the browser")
	}
	if !sleep(ctx, delay) {
		return nil, context.Cause(ctx)
	}
	answers := make(object, len(requests))
	for i, m := range requests {
		answers[i] = member{m.key, []byte(`{"action":"accept"}`)}
	}
	return answers, nil
}

// one puts one question to the host, and returns the bare result.
func (q *questions) one(ctx context.Context, request object) ([]byte, error) {
	method := request.text("method")
	params, err := fitQuestion(method, request.child("params"), q.t.version)
	if err != nil {
		return nil, err
	}
	if _, ok := q.t.said().can(method, params); !ok { // spec 1.26, 5.32
		return nil, fmt.Errorf("the server asks for %s, which this host did not declare", capability(method, params))
	}
	url := ""
	if method == string(mcp.MethodElicitationCreate) && params.text("mode") == "url" {
		url = params.text("url")
		id := q.t.r.mint()
		params = params.with("elicitationId", id)
		q.t.mu.Lock()
		if q.visited == nil {
			q.visited = make(map[string][]byte)
		}
		q.visited[url] = id
		q.t.mu.Unlock()
	}
	answer, err := q.t.askHost(ctx, method, params)
	switch {
	case err != nil:
		return nil, err
	case !answer.failed && answer.result != nil:
		if url != "" && readObject(answer.result).text("action") != "accept" {
			q.t.mu.Lock()
			delete(q.visited, url)
			q.t.mu.Unlock()
		}
		return answer.result, nil
	case method == string(mcp.MethodElicitationCreate): // the only one with an answer for that (spec 5.41)
		return []byte(`{"action":"cancel"}`), nil
	}
	return nil, fmt.Errorf("the server needs %s, and the host refused: %s", method, clip(readObject(answer.err).text("message"), longestExcerpt))
}

// complete tells the host that what was to be done at URLs is done.
func (q *questions) complete() {
	for _, id := range q.visited {
		q.t.r.out.write(rawNotification(string(mcp.MethodNotificationElicitationComplete), object{{"elicitationId", id}}.raw()))
	}
}

// askHost puts a request to the host, and takes it back when ctx is done first.
func (t *toModern) askHost(ctx context.Context, method string, params object) (*message, error) {
	id := t.r.mint()
	answer := make(chan *message, 1)
	t.mu.Lock()
	t.asked[idKey(id)] = answer
	t.mu.Unlock()
	t.r.out.write(rawRequest(id, method, params.raw()))
	select {
	case m := <-answer:
		return m, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	_, open := t.asked[idKey(id)]
	delete(t.asked, idKey(id))
	t.mu.Unlock()
	if open {
		t.r.out.write(rawNotification(string(mcp.MethodNotificationCancelled),
			object{{"requestId", id}, {"reason", []byte(`"the request that this belongs to is over"`)}}.raw()))
	}
	return nil, context.Cause(ctx)
}

// said is what each request says of the host.
func (t *toModern) said() hostMeta {
	t.mu.Lock()
	defer t.mu.Unlock()
	return hostMeta{capabilities: t.meta.child(mcp.MetaKeyClientCapabilities)}
}

// capability names what a host has to have declared for a question.
func capability(method string, params object) string {
	kind, _, _ := strings.Cut(method, "/")
	if mode := params.text("mode"); mode != "" {
		return kind + " (" + mode + ")"
	}
	return kind
}
