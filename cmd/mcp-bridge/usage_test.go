package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// README shows the help word for word.
func TestReadmeUsage(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```text\n"+usage+"```\n") {
		t.Error("README.md has no block ```text that holds usage.txt as it is")
	}
}

// The help and the flags are written apart, and have to agree.
func TestUsageFlags(t *testing.T) {
	var begun bool
	table := strings.Join(strings.Fields(usage), " ") // without line breaks within descriptions
	flags := newRootCommand(&begun).Flags()
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			if regexp.MustCompile(`--` + f.Name + `([^a-z0-9-]|$)`).MatchString(usage) {
				t.Errorf("hidden flag --%s is in the help", f.Name)
			}
			return
		}
		if !regexp.MustCompile(`(?m)^  --` + f.Name + ` `).MatchString(usage) {
			t.Errorf("flag --%s is not in the help", f.Name)
		}
		if !strings.Contains(table, f.Usage) {
			t.Errorf("the help doesn't say of --%s what shell completion says: %s", f.Name, f.Usage)
		}
	})
	for _, m := range regexp.MustCompile(`--([a-z0-9-]+)`).FindAllStringSubmatch(usage, -1) {
		if flags.Lookup(m[1]) == nil {
			t.Errorf("the help names --%s, which is no flag", m[1])
		}
	}
	for _, line := range strings.Split(usage, "\n") {
		if len(line) > 79 {
			t.Errorf("line of %d characters in the help: %s", len(line), line)
		}
	}
}
