package bridgetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// A filter is what a subscriptions/listen request asks for (spec 5.50).
type filter struct {
	Tools     bool     `json:"toolsListChanged,omitempty"`
	Prompts   bool     `json:"promptsListChanged,omitempty"`
	Resources bool     `json:"resourcesListChanged,omitempty"`
	URIs      []string `json:"resourceSubscriptions,omitempty"`
}

// listen acknowledges what a client wants to hear of, and keeps the stream until the client leaves
// (spec 5.51). There is nothing to hear of a resource that is not there.
func (s *Server) listen(w http.ResponseWriter, r *Request, p *modernParams) {
	var f filter
	if err := json.Unmarshal(p.Notifications, &f); err != nil {
		r.Fail(w, http.StatusBadRequest, codeInvalidParams, "params.notifications is missing, or no object")
		return
	}
	f.URIs = slices.DeleteFunc(f.URIs, func(uri string) bool { return resources[uri] == "" })
	honoured, _ := json.Marshal(f) // strings and booleans can't fail
	e := r.Events(w)
	e.fit = func(message string) (string, bool) { return f.fit(message, r.ID) }
	e.mu.Lock() // what happens from now on is told, though after this
	s.addStream(e)
	_ = e.raw(event(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"` + metaSubscription + `":` + string(r.ID) +
		`},"notifications":` + string(honoured) + `}}`))
	e.mu.Unlock()
	s.keepStream(r.Context(), e, &session{})
}

// fit returns a notification as it goes out on the stream of a listen request, and whether it does
// (spec 1.45, 5.53).
func (f *filter) fit(message string, id json.RawMessage) (string, bool) {
	var m struct {
		Method string                     `json:"method"`
		Params map[string]json.RawMessage `json:"params"`
	}
	if json.Unmarshal([]byte(message), &m) != nil {
		return "", false
	}
	var wanted bool
	switch m.Method {
	case "notifications/tools/list_changed":
		wanted = f.Tools
	case "notifications/prompts/list_changed":
		wanted = f.Prompts
	case "notifications/resources/list_changed":
		wanted = f.Resources
	case "notifications/resources/updated":
		var uri string
		_ = json.Unmarshal(m.Params["uri"], &uri) // no URI is nobody's
		wanted = slices.ContainsFunc(f.URIs, func(of string) bool {
			return strings.HasPrefix(uri, of) // it may be a part of the resource (spec 5.56)
		})
	}
	if !wanted {
		return "", false
	}
	if m.Params == nil {
		m.Params = make(map[string]json.RawMessage)
	}
	m.Params["_meta"] = json.RawMessage(`{"` + metaSubscription + `":` + string(id) + `}`)
	params, err := json.Marshal(m.Params)
	if err != nil {
		return "", false
	}
	return `{"jsonrpc":"2.0","method":` + quote(m.Method) + `,"params":` + string(params) + `}`, true
}
