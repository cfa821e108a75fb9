package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY says is held by a test is: the test is there. So are those that tests name in place of their
// own cases.
func TestSecurityTests(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", "{{.Dir}}", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	there := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]*)\(`)
	var texts []string
	for dir := range strings.Lines(string(out)) {
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(dir), "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text := readText(t, name)
			for _, m := range function.FindAllStringSubmatch(text, -1) {
				there[m[1]] = true
			}
			if filepath.Base(name) == "hostile_test.go" {
				texts = append(texts, text)
			}
		}
	}
	if len(texts) != 2 {
		t.Fatalf("%d files hostile_test.go", len(texts))
	}
	security := readText(t, "../../SECURITY.md")
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9_]*`)
	for _, text := range append(texts, security) {
		for _, name := range named.FindAllString(text, -1) {
			if !there[name] {
				t.Errorf("there is no %s", name)
			}
		}
	}
	for _, name := range regexp.MustCompile("`([a-z-]+\\.txtar)`").FindAllStringSubmatch(security, -1) {
		if _, err := os.Stat(filepath.Join("../../testdata/script", name[1])); err != nil {
			t.Error(err)
		}
	}
	for row := range strings.Lines(security) {
		if cells := strings.Split(row, " | "); len(cells) == 4 && len(strings.Trim(cells[0], "| ")) == 1 && !named.MatchString(row) && !strings.Contains(row, ".txtar`") {
			t.Errorf("no test holds this: %s", row)
		}
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
