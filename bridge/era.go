package bridge

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// Host and server may be of different eras: with a handshake (2024-11-05 to 2025-11-25), or without
// one (2026-07-28). Then what stands in the place of the server of a relay is a translator, which is
// itself the host of a relay of the other era:
//
//	host of        relay of      server of
//
//	handshake ──▶ handshake ───────────────────────────────▶ handshake   streamable, httpSSE
//	handshake ──▶ handshake ──▶ toModern ─────▶ modern ────▶ modern      modern
//	modern    ──▶ modern ──────────────────────────────────▶ modern      modern
//	modern    ──▶ modern ─────▶ toHandshake ──▶ handshake ─▶ handshake   streamable, httpSSE
//
// Which line it is turns out with the first request: a server that speaks the host's era is never
// translated (spec 3.22). See detecting for a handshake host and choosing for a modern one.

// An eraRow is a row of the tables of spec 6B and 6C: what becomes of one method of the host's where
// the server is of the other era. Each column is one pair of eras; nil stands for passing it on, with
// what any request needs. A revision that works differently again is a column more.
type eraRow struct {
	toModern    func(*toModern, context.Context, *call, sentFunc) error
	toHandshake func(*toHandshake, context.Context, *call, sentFunc) error
}

// eraRequests are the requests of hosts that need more than passing on.
var eraRequests = map[mcp.MCPMethod]eraRow{
	mcp.MethodInitialize:            {(*toModern).initialize, (*toHandshake).unknown},
	mcp.MethodPing:                  {(*toModern).ping, (*toHandshake).unknown},
	mcp.MethodServerDiscover:        {(*toModern).unknown, (*toHandshake).discover},
	mcp.MethodToolsCall:             {(*toModern).interactive, (*toHandshake).interactive},
	mcp.MethodPromptsGet:            {(*toModern).interactive, (*toHandshake).interactive},
	mcp.MethodResourcesRead:         {(*toModern).interactive, (*toHandshake).interactive},
	mcp.MethodCompletionComplete:    {(*toModern).complete, nil},
	mcp.MethodSetLogLevel:           {(*toModern).setLevel, (*toHandshake).unknown},
	mcp.MethodResourcesSubscribe:    {(*toModern).subscribe, (*toHandshake).unknown},
	mcp.MethodResourcesUnsubscribe:  {(*toModern).unsubscribe, (*toHandshake).unknown},
	mcp.MethodSubscriptionsListen:   {(*toModern).unknown, (*toHandshake).listen},
	mcp.MethodListRoots:             {nil, (*toHandshake).unknown},
	mcp.MethodSamplingCreateMessage: {nil, (*toHandshake).unknown},
	mcp.MethodElicitationCreate:     {nil, (*toHandshake).unknown},
	mcp.MethodTasksGet:              {(*toModern).unknown, (*toHandshake).unknown}, // spec 6.77
	mcp.MethodTasksList:             {(*toModern).unknown, (*toHandshake).unknown},
	mcp.MethodTasksResult:           {(*toModern).unknown, (*toHandshake).unknown},
	mcp.MethodTasksCancel:           {(*toModern).unknown, (*toHandshake).unknown},
	"tasks/update":                  {(*toModern).unknown, (*toHandshake).unknown},
}

// eraNotifications are the notifications of a handshake host that a modern server does not get as they
// are. Modern hosts have none but cancellations, which do not come here.
var eraNotifications = map[mcp.MCPMethod]func(*toModern){
	mcp.MethodNotificationInitialized:      (*toModern).listenToAll,
	mcp.MethodNotificationCancelled:        nil,
	mcp.MethodNotificationProgress:         nil,
	mcp.MethodNotificationRootsListChanged: nil, // roots are asked for when they are needed
}

// eraServerNotifications are the notifications of a handshake server that a modern host does not get
// as they are.
var eraServerNotifications = map[mcp.MCPMethod]func(*link, *message, *call){
	mcp.MethodNotificationProgress:            (*link).progress,
	mcp.MethodNotificationMessage:             (*link).logged,
	mcp.MethodNotificationCancelled:           (*link).withdrawn,
	mcp.MethodNotificationElicitationComplete: (*link).elicited,
	"notifications/tools/list_changed":        (*link).changed,
	"notifications/prompts/list_changed":      (*link).changed,
	"notifications/resources/list_changed":    (*link).changed,
	"notifications/resources/updated":         (*link).changed,
	"notifications/tasks/status":              nil,
}

// mayAsk tells whether a server may ask the host something in the course of a request (spec 5.30).
func mayAsk(m *message) bool {
	return m.is(mcp.MethodToolsCall) || m.is(mcp.MethodPromptsGet) || m.is(mcp.MethodResourcesRead)
}

// cacheable tells whether the result of a request says how long it may be kept (spec 5.13).
func cacheable(m *message) bool {
	switch mcp.MCPMethod(m.method) {
	case mcp.MethodServerDiscover, mcp.MethodToolsList, mcp.MethodPromptsList, mcp.MethodResourcesList,
		mcp.MethodResourcesTemplatesList, mcp.MethodResourcesRead:
		return true
	}
	return false
}

// tasksExtension is what neither direction translates (spec 6.77).
const tasksExtension = "io.modelcontextprotocol/tasks"

// reserved are the members of _meta that only 2026-07-28 knows (spec 5.01).
var reserved = []string{mcp.MetaKeyProtocolVersion, mcp.MetaKeyClientCapabilities, mcp.MetaKeyClientInfo, mcp.MetaKeyLogLevel,
	mcp.MetaKeyServerInfo, mcp.MetaKeySubscriptionID}

// withoutMeta returns params or a result without the members of _meta that only 2026-07-28 knows.
func withoutMeta(o object, more ...string) object {
	meta := o.child("_meta")
	if meta == nil {
		return o
	}
	if meta = meta.without(append(more, reserved...)...); len(meta) == 0 {
		return o.without("_meta")
	}
	return o.with("_meta", meta.raw())
}

// portable returns capabilities that mean the same in both eras: without tasks.
func portable(capabilities object) object {
	out := capabilities.without("tasks")
	if extensions := out.child("extensions"); extensions != nil {
		out = out.with("extensions", extensions.without(tasksExtension).raw())
	}
	return out
}

// How long translators wait.
const (
	askRounds    = 10                     // rounds of questions that one call may lead to (spec 5.38)
	paceRounds   = 250 * time.Millisecond // between rounds without questions (spec 5.36)
	gatherLimit  = 5 * time.Millisecond   // for questions that belong together (spec 6.54)
	probeLimit   = 3 * time.Second        // before a probe is answered without knowing (spec 1.38)
	ackLimit     = 10 * time.Second       // for a server to agree to a subscription
	verdictLife  = 7 * 24 * time.Hour     // after which a server is looked at again (spec 3.31)
	completeWait = 5 * time.Second        // for a URL elicitation to be reported complete
)

// What a server may ask the host for at once. More is nothing that a person could answer.
const maxAsked = 100

var unknownMethod = &rpcError{code: mcp.METHOD_NOT_FOUND, text: "the method is not part of the protocol revision in use"}
