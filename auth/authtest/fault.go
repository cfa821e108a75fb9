package authtest

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// A Fault takes the place of a right answer. Of several that fit a request, the first that is not
// used up is taken.
//
//	Fault{Path: "/token", Status: 503, Times: 2}
//	Fault{Path: "/token", Form: map[string]string{"grant_type": "refresh_token"}, Error: "invalid_grant"}
//	Fault{Path: "/register", Delay: time.Second}
type Fault struct {
	Path  string            // of the requests that it befalls
	Form  map[string]string // parameters that they have, in query or form; "" stands for any value
	Times int               // how many requests it befalls, 0 means all

	Delay  time.Duration // before the answer. A fault without anything below only delays the right answer.
	Reset  bool          // the connection is cut
	Error  string        // OAuth error code, in JSON
	Status int           // 0 means the one that Error should have, or 200
	Header http.Header
	Body   string // in place of Error's JSON
}

// fault answers a request if it is to go wrong.
func (s *Server) fault(w http.ResponseWriter, r *http.Request) bool {
	for i := 0; ; {
		f, next := s.takeFault(r, i)
		if f == nil {
			return false
		}
		i = next
		if f.Delay > 0 {
			select {
			case <-time.After(f.Delay):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		if f.answers() {
			f.answer(w)
			return true
		}
	}
}

// takeFault returns the first fault from the i-th on that fits, and the index of the one after it.
func (s *Server) takeFault(r *http.Request, i int) (*Fault, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; i < len(s.cfg.Faults); i++ {
		f := &s.cfg.Faults[i]
		if f.Times < 0 || !f.fits(r) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				f.Times = -1 // used up
			}
		}
		taken := *f
		return &taken, i + 1
	}
	return nil, i
}

func (f *Fault) fits(r *http.Request) bool {
	if r.URL.Path != f.Path {
		return false
	}
	form := r.Form
	if form == nil {
		form = r.URL.Query()
	}
	for name, value := range f.Form {
		if !form.Has(name) || value != "" && form.Get(name) != value {
			return false
		}
	}
	return true
}

// answers reports whether f is more than a delay.
func (f *Fault) answers() bool {
	return f.Reset || f.Error != "" || f.Status != 0 || f.Header != nil || f.Body != ""
}

func (f *Fault) answer(w http.ResponseWriter) {
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	status, body := f.Status, f.Body
	if f.Error != "" && body == "" {
		body = `{"error":"` + f.Error + `"}`
	}
	if status == 0 {
		switch f.Error {
		case "":
			status = http.StatusOK
		case "invalid_client":
			status = http.StatusUnauthorized
		default:
			status = http.StatusBadRequest
		}
	}
	if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
		w.Header().Set("Content-Type", "application/json") // anything else net/http finds out by itself
	}
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
