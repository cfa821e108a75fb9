// Host is an MCP host made of the client of one of the two MCP libraries for Go, worked from outside:
// it reads requests from standard input, one a line, and writes what comes of them to standard output.
//
//	host mcp-go|go-sdk REVISION URL
//	host mcp-go|go-sdk REVISION COMMAND [ARGUMENT...]
//
// The server is at the URL, or is the command, spoken to over stdio. With the revision "any" the host
// asks for the latest first; with one before 2026-07-28 it knows handshakes only.
//
//	{"id":1,"method":"tools/call","params":{…}}   is answered by {"id":1,"result":{…}} or {"id":1,"error":{…}}
//	{"cancel":1}                                  gives that request up
//
// What comes first is the answer to the handshake, with the id 0; notifications from the server come in
// between. When its standard input ends the host ends the session, says {"exit":CODE} of the command,
// and ends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// A client is one of the libraries'.
type client interface {
	// connect holds the handshake, or what takes its place.
	connect(context.Context, server) (any, error)
	// ask sends a request and returns its result.
	ask(ctx context.Context, method string, params json.RawMessage) (any, error)
	close() error
}

// A server is where it is, or how it is started.
type server struct {
	url      string
	command  *exec.Cmd
	revision string
}

// An answer is a line of output: of a request, a notification, or the end.
type answer struct {
	ID     *int   `json:"id,omitempty"`
	Result any    `json:"result,omitempty"`
	Error  *fault `json:"error,omitempty"`
	Method string `json:"method,omitempty"`
	Params any    `json:"params,omitempty"`
	Exit   *int   `json:"exit,omitempty"`
}

type fault struct {
	Code    int64  `json:"code"`
	Message string `json:"message"`
}

var output struct {
	sync.Mutex
	*json.Encoder
}

func say(a answer) {
	output.Lock()
	defer output.Unlock()
	if err := output.Encode(a); err != nil {
		log.Fatal(err)
	}
}

// notify says that the server has sent a notification.
func notify(method string, params any) { say(answer{Method: method, Params: params}) }

func reply(id int, result any, err error) {
	if err != nil {
		say(answer{ID: &id, Error: &fault{codeOf(err), err.Error()}})
		return
	}
	if result == nil {
		result = struct{}{}
	}
	say(answer{ID: &id, Result: result})
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: host mcp-go|go-sdk REVISION URL|COMMAND [ARGUMENT...]")
	}
	output.Encoder = json.NewEncoder(os.Stdout)
	var c client
	switch os.Args[1] {
	case "mcp-go":
		c = new(mcpGo)
	case "go-sdk":
		c = new(goSDK)
	default:
		log.Fatalf("there is no library %q", os.Args[1])
	}
	s := server{revision: os.Args[2]}
	if s.revision == "any" {
		s.revision = ""
	}
	if to := os.Args[3]; strings.HasPrefix(to, "http://") {
		s.url = to
	} else {
		s.command = exec.Command(to, os.Args[4:]...)
		s.command.Stderr = os.Stderr
	}
	result, err := c.connect(context.Background(), s)
	reply(0, result, err)
	if err == nil {
		work(c)
	}
	if err := c.close(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
	}
	exit := 0
	if s.command != nil {
		exit = s.command.ProcessState.ExitCode() // -1 of one that did not end
	}
	say(answer{Exit: &exit})
}

// work takes requests until there are no more.
func work(c client) {
	var (
		mu     sync.Mutex
		cancel = make(map[int]context.CancelFunc)
	)
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var request struct {
			ID     int
			Method string
			Params json.RawMessage
			Cancel int
		}
		if err := json.Unmarshal(line, &request); err != nil {
			log.Fatal(err)
		}
		mu.Lock()
		if request.Cancel != 0 {
			if stop := cancel[request.Cancel]; stop != nil {
				stop()
			}
			mu.Unlock()
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		cancel[request.ID] = stop
		mu.Unlock()
		// Ends with the answer, or with the session.
		go func() {
			result, err := c.ask(ctx, request.Method, request.Params)
			reply(request.ID, result, err)
		}()
	}
}

var errNoMethod = errors.New("the host does not know this method")

// What the user and the model say to servers is the same in both, and in hosts.mjs.
const sample = "a fixed answer"

var roots = []string{"a", "b"}

// elicited fills in a form: a name, and the first choice of what else is required.
func elicited(mode, message string, schema any) map[string]any {
	if mode == "url" {
		return nil
	}
	var form struct {
		Properties map[string]struct {
			OneOf []struct{ Const any }
		}
		Required []string
	}
	raw, _ := json.Marshal(schema)
	_ = json.Unmarshal(raw, &form) // what is no form asks for nothing
	content := make(map[string]any)
	for _, name := range form.Required {
		if choices := form.Properties[name].OneOf; len(choices) > 0 {
			content[name] = choices[0].Const
		}
	}
	if _, asked := form.Properties["name"]; asked {
		content["name"] = "Ada"
		if message == "Second?" {
			content["name"] = "Bob"
		}
	}
	return content
}
