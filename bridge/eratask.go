package bridge

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	taskPoll        = time.Second // between looks at a task, unless the server names another time
	longestTaskPoll = 30 * time.Second
)

// longestList is how many pages of tools are read to learn of tasks.
const longestList = 100

// learnTasks has the tools listed, if there may be some that run as a task only and nobody has asked for
// the list yet.
func (l *link) learnTasks(ctx context.Context) {
	if !l.result().child("capabilities").child("tasks").child("requests").child("tools").has("call") {
		return
	}
	l.listing.Lock()
	defer l.listing.Unlock()
	params := object{}
	for range longestList {
		l.mu.Lock()
		listed := l.listed
		l.mu.Unlock()
		if listed {
			return
		}
		answer, err := l.call(ctx, l.inner.newRequest(string(mcp.MethodToolsList), params), nil)
		if err != nil || answer.failed {
			l.t.r.log.Debug("it can't be learned which tools run as a task", "error", err)
			return
		}
		result := readObject(answer.result)
		l.learnTools(result)
		params = object{{"cursor", result.get("nextCursor")}}
	}
}

// needsTask tells whether a request calls a tool that runs as a task only.
func (l *link) needsTask(m *message) bool {
	if !m.is(mcp.MethodToolsCall) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tasks[readObject(m.params).text("name")]
}

// drive makes a request in the session and returns its answer. If it became a task, that is followed to
// its end, as a host of 2026-07-28 can't (spec 6C). begun is called when the request has its place in the
// order.
func (l *link) drive(ctx context.Context, m *message, begun func()) (*message, error) {
	answer, err := l.call(ctx, m, begun)
	if err != nil || answer.failed || !readObject(m.params).has("task") {
		return answer, err
	}
	task := readObject(answer.result).child("task")
	id := task.get("taskId")
	if id == nil {
		return answer, nil
	}
	l.mu.Lock()
	u := l.upcalls[idKey(m.id)]
	l.mu.Unlock()
	u.became(id)
	defer func() {
		if ctx.Err() != nil {
			l.cancelTask(id)
		}
	}()
	for task.text("status") == "working" {
		delay := taskPoll
		if ms, err := strconv.Atoi(string(task.get("pollInterval"))); err == nil && ms > 0 {
			delay = min(time.Duration(ms)*time.Millisecond, longestTaskPoll)
		}
		if !sleep(ctx, delay) {
			return nil, context.Cause(ctx)
		}
		answer, err := l.call(ctx, l.inner.newRequest(string(mcp.MethodTasksGet), object{{"taskId", id}}), nil)
		if err != nil || answer.failed {
			return answer, err
		}
		task = readObject(answer.result)
	}
	// The result comes when the task is over; until then, what it asks for.
	fetch := l.inner.newRequest(string(mcp.MethodTasksResult), object{{"taskId", id}})
	l.know(fetch.id, u)
	defer l.know(fetch.id, nil)
	answer, err = l.call(ctx, fetch, nil)
	if err != nil || answer.failed {
		return answer, err
	}
	return built(rawResult(m.id, withoutMeta(readObject(answer.result), relatedTask).raw())), nil
}

// relatedTask is the member of _meta that says which task something belongs to. Hosts of 2026-07-28 know
// of no task.
const relatedTask = "io.modelcontextprotocol/related-task"

// became notes the task that the request has become.
func (u *upcall) became(task []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.task = bytes.Clone(task)
}

// cancelTask ends a task, which a cancellation of its request would not (spec 2.37).
func (l *link) cancelTask(id []byte) {
	if l.t.r.ctx.Err() == nil {
		l.feed(l.inner.newRequest(string(mcp.MethodTasksCancel), object{{"taskId", id}}), func([]byte) {})
	}
}
