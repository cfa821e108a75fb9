package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A change is what is going to be written into a host's file, and what a person is shown of it.
type change struct {
	cmd    *cobra.Command
	file   *hostconfig.File
	shown  strings.Builder
	needs  []string // variables that the host has to have
	remark string   // to be made once it is written, or ""
}

func newChange(cmd *cobra.Command, f *hostconfig.File) *change { return &change{cmd: cmd, file: f} }

func (c *change) add(name string, server hostconfig.Server) error {
	e, err := c.file.Add(name, server)
	if err != nil {
		return err
	}
	c.needs = server.Needs
	c.show("", c.file.Excerpt(e, masked(server)))
	return nil
}

func (c *change) replace(e hostconfig.Entry, server hostconfig.Server) error {
	before := c.file.Excerpt(e, masked(e.Server))
	if err := c.file.Replace(e, server); err != nil {
		return err
	}
	e.Server, c.needs = server, server.Needs
	c.show(before, c.file.Excerpt(e, masked(server)))
	return nil
}

func (c *change) remove(e hostconfig.Entry) error {
	before := c.file.Excerpt(e, masked(e.Server))
	if err := c.file.Remove(e); err != nil {
		return err
	}
	c.show(before, "")
	return nil
}

// show adds what an entry was and will be to what is shown. Lines that are the same at the beginning
// and at the end are told from those that are not.
func (c *change) show(before, after string) {
	var old, now []string
	if before != "" {
		old = strings.Split(before, "\n")
	}
	if after != "" {
		now = strings.Split(after, "\n")
	}
	print := func(mark string, lines []string) {
		for _, line := range lines {
			fmt.Fprintf(&c.shown, "  %s %s\n", mark, oneLine(strings.ReplaceAll(line, "\t", "  ")))
		}
	}
	head, tail := 0, 0
	for head < min(len(old), len(now)) && old[head] == now[head] {
		head++
	}
	for tail < min(len(old), len(now))-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	print(" ", old[:head])
	print("-", old[head:len(old)-tail])
	print("+", now[head:len(now)-tail])
	print(" ", now[len(now)-tail:])
}

// confirmAndSave shows the change, asks unless yes, and writes the file.
func (c *change) confirmAndSave(yes bool) error {
	out := c.cmd.OutOrStdout()
	if !c.file.Changed() {
		fmt.Fprintf(out, "%s has it just so already, in %s\n", c.file.Host.Name, c.file.Path)
		return nil
	}
	c.print()
	if !yes {
		if ok, err := ask(c.cmd, "write this?"); err != nil {
			return err
		} else if !ok {
			fmt.Fprintln(out, "nothing is written")
			return nil
		}
	}
	backup, err := c.file.Save()
	if err != nil {
		return err
	}
	if backup == "" {
		fmt.Fprintf(out, "wrote %s, which is new\n", c.file.Path)
	} else {
		fmt.Fprintf(out, "wrote %s; as it was before, it is in %s\n", c.file.Path, backup)
	}
	fmt.Fprintln(out, c.file.Host.After)
	if c.remark != "" {
		fmt.Fprintln(out, c.remark)
	}
	return nil
}

// print prints the change.
func (c *change) print() {
	fmt.Fprintf(c.cmd.OutOrStdout(), "%s, %s:\n%s", c.file.Host.Name, c.file.Path, c.shown.String())
}

// ask asks a person a question. It is an error if there is nobody to ask.
func ask(cmd *cobra.Command, question string) (bool, error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false, usageError{errors.New("there is no terminal to ask at; --yes writes without asking, and --print only shows")}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [Y/n] ", question)
	answer := make(chan string, 1)
	go func() { // ends with the line, or with the program
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			line = "no"
		}
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		return a == "" || a == "y" || a == "yes", nil
	case <-cmd.Context().Done():
		return false, errors.New("interrupted; nothing is written")
	}
}

// ownCommand returns how a host has to call this program: by a path, as hosts have a PATH of their
// own. Where the user's PATH leads to it is better than where that leads to in turn, which may have
// a version in it.
func ownCommand(cmd *cobra.Command) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding out where this program is: %w", err)
	}
	if found, err := exec.LookPath("mcp-bridge"); err == nil && filepath.IsAbs(found) && isSameFile(found, exe) {
		return found, nil
	}
	for _, part := range strings.FieldsFunc(exe, func(r rune) bool { return r == '/' || r == '\\' }) {
		if strings.HasPrefix(part, "go-build") || part == "_npx" {
			sayWarning(cmd, "this program is at "+exe+", where it will not stay; put it elsewhere before you install it in a host")
			break
		}
	}
	return exe, nil
}

func isSameFile(a, b string) bool {
	infoA, err := os.Stat(a)
	if err != nil {
		return false
	}
	infoB, err := os.Stat(b)
	return err == nil && os.SameFile(infoA, infoB)
}
