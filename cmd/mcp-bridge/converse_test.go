package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
//
// At the end the program's input ends, unless one of the last three came first. The program may say
// no more then, and has to exit. Its exit code is converse's.
func converse(file string, command []string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return badEnd(nil, "%v", err)
	}
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
	over := false // whether the program has been given reason to exit
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
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return badEnd(nil, "the program had to be killed: %v", err)
	}
	return cmd.ProcessState.ExitCode()
}

func badEnd(cmd *exec.Cmd, format string, args ...any) int {
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	fmt.Fprintf(os.Stderr, "converse: "+format+"\n", args...)
	return badConversation
}
