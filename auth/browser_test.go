package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mcp-bridge/auth"
)

// Variables that make this test binary another program.
const (
	openerVariable = "AUTH_TEST_OPENER"       // an opener that adds its arguments to this file
	failVariable   = "AUTH_TEST_OPENER_FAILS" // the name of one that fails
	noiseVariable  = "AUTH_TEST_OPENER_TALKS"
	hostVariable   = "AUTH_TEST_OPEN" // a program that opens this page
)

// noise is what an opener says.
const noise = "Opening in existing browser session."

func init() {
	if file := os.Getenv(openerVariable); file != "" && os.Getenv(hostVariable) == "" {
		if os.Getenv(noiseVariable) != "" {
			fmt.Println(noise)
			fmt.Fprintln(os.Stderr, noise)
		}
		if os.Getenv(failVariable) == filepath.Base(os.Args[0]) {
			os.Exit(3)
		}
		line, err := json.Marshal(os.Args)
		if err == nil {
			var f *os.File
			if f, err = os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
				_, err = f.Write(append(line, '\n'))
			}
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	if page := os.Getenv(hostVariable); page != "" {
		os.Unsetenv(hostVariable)
		if err := auth.OpenBrowser(page); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// A desk is a folder with openers, and a file that says how they were called.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T) *desk {
	if runtime.GOOS == "windows" {
		t.Skip("openers are links to the test binary")
	}
	d := &desk{t, t.TempDir()}
	t.Setenv("GORACE", "atexit_sleep_ms=0") // openers end at once under -race too
	t.Setenv(openerVariable, filepath.Join(d.dir, "calls"))
	return d
}

// opener puts an opener into the folder and returns its path.
func (d *desk) opener(name string) string {
	d.t.Helper()
	self, err := os.Executable()
	if err != nil {
		d.t.Fatal(err)
	}
	path := filepath.Join(d.dir, name)
	if err := os.Symlink(self, path); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// calls returns the name and arguments of every opener that was called.
func (d *desk) calls() [][]string {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		d.t.Fatal(err)
	}
	var calls [][]string
	for line := range strings.Lines(string(text)) {
		var args []string
		if err := json.Unmarshal([]byte(line), &args); err != nil {
			d.t.Fatal(err)
		}
		args[0] = filepath.Base(args[0])
		calls = append(calls, args)
	}
	return calls
}

// wantCalls checks them.
func (d *desk) wantCalls(want ...[]string) {
	d.t.Helper()
	if got := d.calls(); !slices.EqualFunc(got, want, slices.Equal) {
		d.t.Errorf("called %q, want %q", got, want)
	}
}

// host opens a page as a program of its own, with $PATH being the folder, and returns what it wrote.
func (d *desk) host(page, browser string) (stdout, stderr string, err error) {
	d.t.Helper()
	self, err := os.Executable()
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), hostVariable+"="+page, noiseVariable+"=1", "PATH="+d.dir, "BROWSER="+browser)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// oddPage is a page with everything that shells take for something else.
const oddPage = `https://as.example/authorize?a=b&c=%20&d=^x^&e=%PATH%25&f=$(touch%20pwned)&g=;h&i='j'&k=*`

// D9: the page is one argument, as it is, and no shell is involved.
func TestD9_OpenerGetsOneArgument(t *testing.T) {
	d := newDesk(t)
	if err := auth.OpenWith(d.opener("firefox"))(oddPage); err != nil {
		t.Fatal(err)
	}
	d.wantCalls([]string{"firefox", oddPage})
	if _, err := os.Stat("pwned"); err == nil {
		os.Remove("pwned")
		t.Error("a shell was involved")
	}
}

// D9: what is no page is opened by nothing.
func TestD9_OpenerGetsPagesOnly(t *testing.T) {
	d := newDesk(t)
	opener := d.opener("firefox")
	t.Setenv("BROWSER", opener)
	for _, page := range []string{
		"file:///etc/passwd", "javascript:1", "smb://evil.example/x", "a:$(touch pwned)?", "data:text/html,x", `\\evil.example\x`, "--help", "/etc/passwd", "", "https:", "https:///x",
		"https://as.example/\n--x",
	} {
		for name, open := range map[string]func(string) error{"OpenWith": auth.OpenWith(opener), "OpenBrowser": auth.OpenBrowser} {
			if err := open(page); err == nil {
				t.Errorf("%s opened %q", name, page)
			}
		}
	}
	d.wantCalls()
}

// Several commands, with arguments: the first that works is used.
func TestOpenWithCommands(t *testing.T) {
	const page = "https://as.example/authorize?a=b%25&c=d"
	for _, test := range []struct {
		name, commands string // DIR stands for the folder
		want           []string
	}{
		{"one", "DIR/firefox", []string{"firefox", page}},
		{"arguments", "DIR/firefox --new-window", []string{"firefox", "--new-window", page}},
		{"a place", "DIR/firefox --url=%s --private", []string{"firefox", "--url=" + page, "--private"}},
		{"a place of its own", "DIR/firefox %s x", []string{"firefox", page, "x"}},
		{"one that is missing", "DIR/missing:DIR/firefox", []string{"firefox", page}},
		{"one that fails", "DIR/fails:DIR/firefox", []string{"firefox", page}},
		{"the first that works", "DIR/firefox:DIR/chromium", []string{"firefox", page}},
		{"empty ones", "::DIR/firefox:", []string{"firefox", page}},
		{"a space in the path", "DIR/Mozilla Firefox", []string{"Mozilla Firefox", page}},
		{"none", "", nil},
		{"only missing ones", "DIR/missing:DIR/absent", nil},
	} {
		for _, variable := range []bool{false, true} {
			if variable && test.commands == "" {
				continue // that is no $BROWSER
			}
			t.Run(fmt.Sprint(test.name, variable), func(t *testing.T) {
				d := newDesk(t)
				for _, name := range []string{"firefox", "chromium", "fails", "Mozilla Firefox"} {
					d.opener(name)
				}
				t.Setenv(failVariable, "fails")
				commands := strings.ReplaceAll(test.commands, "DIR", d.dir)
				open := auth.OpenWith(commands)
				if variable {
					t.Setenv("BROWSER", commands)
					open = auth.OpenBrowser
				}
				err := open(page)
				if test.want == nil {
					if err == nil {
						t.Error("no error")
					}
					d.wantCalls()
					return
				}
				if err != nil {
					t.Error(err)
				}
				d.wantCalls(test.want)
			})
		}
	}
}

// Standard output belongs to the protocol, and what openers say goes elsewhere.
func TestD9_OpenersNoiseIsNotOnStdout(t *testing.T) {
	for _, name := range []string{"system", "$BROWSER"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			browser, want := "", "xdg-open"
			if runtime.GOOS == "darwin" {
				want = "open"
			}
			d.opener(want)
			if name == "$BROWSER" {
				want = "firefox"
				browser = d.opener(want)
			}
			stdout, stderr, err := d.host(oddPage, browser)
			if err != nil {
				t.Errorf("%v: %s", err, stderr)
			}
			if stdout != "" {
				t.Errorf("on stdout: %s", stdout)
			}
			if strings.Count(stderr, noise) != 2 {
				t.Errorf("not on stderr: %s", stderr)
			}
			d.wantCalls([]string{want, oddPage})
		})
	}
}

// Without any opener there is an error, and nothing worse.
func TestOpenBrowserWithoutOpener(t *testing.T) {
	d := newDesk(t)
	stdout, stderr, err := d.host(oddPage, "")
	if err == nil || !strings.Contains(stderr, "error:") || stdout != "" {
		t.Errorf("%v, stdout %q, stderr %q", err, stdout, stderr)
	}
	if strings.Contains(stderr, "panic") {
		t.Errorf("stderr: %s", stderr)
	}
	d.wantCalls()
}
