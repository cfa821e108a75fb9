//go:build ignore

// Man makes the man page of mcp-bridge from its help, so that nothing is said twice:
//
//	go run .release/man.go VERSION DATE <cmd/mcp-bridge/usage.txt >mcp-bridge.1
//
// It is no part of the program, which would carry it about for nothing.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("man: ")
	if len(os.Args) != 3 {
		log.Fatal("usage: man VERSION DATE <usage.txt >mcp-bridge.1")
	}
	usage, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, ".TH MCP-BRIDGE 1 %q %q %q\n", os.Args[2], "mcp-bridge "+os.Args[1], "User Commands")
	for i, block := range strings.Split(strings.TrimSpace(string(usage)), "\n\n") {
		lines := strings.Split(block, "\n")
		switch title, isSection := strings.CutSuffix(lines[0], ":"); {
		case i == 0:
			about := strings.TrimSuffix(strings.TrimPrefix(strings.Join(lines, " "), "mcp-bridge "), ".")
			fmt.Fprintf(out, ".SH NAME\nmcp-bridge \\- %s\n", roff(about))
		case isSection && !strings.HasPrefix(lines[0], " "):
			title, _, _ = strings.Cut(title, ",")
			if title == "Usage" {
				title = "Synopsis"
			}
			fmt.Fprintf(out, ".SH %s\n", roff(strings.ToUpper(title)))
			if err := section(out, lines[1:]); err != nil {
				log.Fatalf("section %q: %v", title, err)
			}
		default: // what is to be said of all flags
			if strings.HasPrefix(lines[0], " ") {
				log.Fatalf("a table without a title: %s", lines[0])
			}
			if strings.Contains(block, "environment variable") {
				fmt.Fprintln(out, ".SH ENVIRONMENT")
			} else {
				fmt.Fprintln(out, ".PP")
			}
			fmt.Fprintln(out, roff(strings.Join(lines, " ")))
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

var gap = regexp.MustCompile(`\S(\s{2,})\S`)

// section prints the lines of a section: a table of terms and what they mean, in two columns, or
// lines to be shown as they are.
func section(out io.Writer, lines []string) error {
	column := secondColumn(lines)
	if column == 0 {
		fmt.Fprintln(out, ".nf")
		for _, line := range lines {
			fmt.Fprintln(out, roff(strings.TrimSpace(line)))
		}
		fmt.Fprintln(out, ".fi")
		return nil
	}
	for _, line := range lines {
		term, meaning := line, ""
		if len(line) > column {
			term, meaning = line[:column], line[column:]
			if !strings.HasSuffix(term, " ") && !gap.MatchString(strings.TrimSpace(line)) {
				term, meaning = line, "" // a long one; what it means stands below
			} else if !strings.HasSuffix(term, " ") || strings.HasPrefix(meaning, " ") {
				return fmt.Errorf("not in two columns: %s", line)
			}
		}
		if term = strings.TrimSpace(term); term != "" {
			fmt.Fprintf(out, ".TP\n.B %s\n", roff(term))
		}
		if meaning != "" {
			fmt.Fprintln(out, roff(meaning))
		}
	}
	return nil
}

// secondColumn returns where the meanings begin: where a line goes on, or behind the first wide gap.
// It is 0 where there is one column alone.
func secondColumn(lines []string) int {
	for _, line := range lines {
		if indent := len(line) - len(strings.TrimLeft(line, " ")); indent > 4 {
			return indent
		}
	}
	for _, line := range lines {
		if m := gap.FindStringSubmatchIndex(line); m != nil {
			return m[3]
		}
	}
	return 0
}

// roff returns s as text without meaning for roff.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
