package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// badConversation is the exit code of converse for a conversation that took another course.
const badConversation = 99

// converse plays the host: it runs a program and has the conversation in the file with it.
//
//	> line      send the line
//	< line      the program's next line has to be exactly this
//	<~ regexp   the program's next line has to match
//	hangup      close our end of the program's standard output, but not of its standard input
//	interrupt   send it SIGINT
//	terminate   send it SIGTERM
//	kill        kill it, as hosts do that do not want to wait; the exit code is 0
//	end         close its standard input
//	browser     wait until it has opened the fake browser
//	allow       sign in at the page that was opened, which nobody has looked at; allow earlier:
//	            at the one that was opened last before the conversation
//	paste       sign in at the page that was opened, and send the address that this ends at
//
// At the end the program's input ends, unless one of hangup, interrupt, terminate, kill and end came
// first. The program may say no more then, and has to exit. Its exit code is converse's.
func converse(file string, command []string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return badEnd(nil, "%v", err)
	}
	before, _ := openedPages(os.Getenv(browserOpened)) // none without a script
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return badEnd(nil, "%v", err)
	}
	// A program that hangs ends here, and with it every wait below.
	time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })

	lines := bufio.NewReader(out)
	over, killed := false, false // whether the program has been given reason to exit, and which
	for line := range strings.Lines(string(text)) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "", "#":
		case ">":
			if _, err := io.WriteString(in, rest+"\n"); err != nil {
				return badEnd(cmd, "sending %s: %v", rest, err)
			}
		case "<", "<~":
			got, err := lines.ReadString('\n')
			got = strings.TrimSuffix(got, "\n")
			if err != nil {
				return badEnd(cmd, "want %s\n got %q and %v", rest, got, err)
			}
			if verb == "<" && got != rest || verb == "<~" && !regexp.MustCompile(rest).MatchString(got) {
				return badEnd(cmd, "want %s\n got %s", rest, got)
			}
		case "hangup":
			_ = out.Close()
			over = true
		case "interrupt":
			_ = cmd.Process.Signal(os.Interrupt)
			over = true
		case "terminate":
			_ = cmd.Process.Signal(syscall.SIGTERM)
			over = true
		case "kill":
			_ = cmd.Process.Kill()
			over, killed = true, true
		case "end":
			_ = in.Close()
			over = true
		case "browser":
			if _, err := waitForBrowser(len(before)); err != nil {
				return badEnd(cmd, "%v", err)
			}
		case "allow":
			seen := len(before)
			if rest == "earlier" {
				seen--
			}
			address, err := signInElsewhere(seen)
			if err == nil {
				var resp *http.Response
				if resp, err = http.Get(address); err == nil {
					resp.Body.Close()
				}
			}
			if err != nil {
				return badEnd(cmd, "signing in: %v", err)
			}
		case "paste":
			address, err := signInElsewhere(len(before))
			if err == nil {
				_, err = io.WriteString(in, address+"\n")
			}
			if err != nil {
				return badEnd(cmd, "signing in: %v", err)
			}
		default:
			return badEnd(cmd, "what is %q?", line)
		}
	}
	if !over {
		_ = in.Close()
	}
	if rest, _ := io.ReadAll(lines); len(rest) > 0 { // fails after a hangup
		return badEnd(cmd, "more than expected: %s", rest)
	}
	if err = cmd.Wait(); killed {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return badEnd(nil, "the program had to be killed: %v", err)
	}
	return cmd.ProcessState.ExitCode()
}

// waitForBrowser waits until the fake browser has been opened more often than before, and returns
// the page.
func waitForBrowser(before int) (page string, err error) {
	for range 1000 {
		pages, err := openedPages(os.Getenv(browserOpened))
		if err != nil {
			return "", err
		}
		if len(pages) > before {
			return pages[len(pages)-1], nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", errors.New("the browser has not been opened")
}

// signInElsewhere does what a person does in a browser on another machine: it goes as far as it
// can, which is to the address of a callback that nobody listens at. The server must ask nothing.
func signInElsewhere(before int) (address string, err error) {
	page, err := waitForBrowser(before)
	if err != nil {
		return "", err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(page)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

func badEnd(cmd *exec.Cmd, format string, args ...any) int {
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	fmt.Fprintf(os.Stderr, "converse: "+format+"\n", args...)
	return badConversation
}
