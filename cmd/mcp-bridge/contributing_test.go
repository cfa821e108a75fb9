package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// CONTRIBUTING is a map, and a map has to show what is there.
func TestContributingFiles(t *testing.T) {
	text := readContributing(t)
	for _, m := range regexp.MustCompile("`([a-zA-Z./-]*\\.(?:go|txt|yaml|md)|[a-z./]+/[a-zA-Z./-]+)`").FindAllStringSubmatch(text, -1) {
		found := 0
		for _, dir := range []string{".", "bridge", "auth", "cmd/mcp-bridge"} {
			if _, err := os.Stat(filepath.Join("../..", dir, m[1])); err == nil {
				found++
			}
		}
		if found == 0 && !strings.HasPrefix(m[1], "github.com/") && !strings.HasPrefix(m[1], "golang.org/") {
			t.Errorf("CONTRIBUTING.md sends people to %s, which is not there", m[1])
		}
	}
}

// A dependency is a decision, and CONTRIBUTING says why it was taken.
func TestContributingDependencies(t *testing.T) {
	text := readContributing(t)
	_, text, _ = strings.Cut(text, "## Dependencies")
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Require) == 0 {
		t.Fatal("go.mod requires no module")
	}
	for _, require := range mod.Require {
		if require.Indirect {
			continue
		}
		named := "`" + require.Path + "`"
		if !strings.Contains(text, named) {
			t.Errorf("CONTRIBUTING.md does not say what %s is for", require.Path)
		}
		text = strings.ReplaceAll(text, named, "")
	}
	for _, m := range regexp.MustCompile("`([a-z]+\\.[a-z]+/.*?)`").FindAllStringSubmatch(text, -1) {
		t.Errorf("CONTRIBUTING.md has a reason for %s, which is no direct dependency", m[1])
	}
}

func readContributing(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
