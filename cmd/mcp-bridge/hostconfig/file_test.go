package hostconfig

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// names returns what is in the folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestSaveNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "mcp.json")
	f, err := Find("cursor").Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add("example", example); err != nil {
		t.Fatal(err)
	}
	backup, err := f.Save()
	if err != nil || backup != "" {
		t.Fatalf("%q, %v", backup, err)
	}
	if got := read(t, path); got != Find("cursor").Sample("example", example) {
		t.Errorf("it holds\n%s", got)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := names(t, filepath.Dir(path)); got != "mcp.json" {
		t.Errorf("in the folder: %s", got)
	}
}

func TestSaveReadOnly(t *testing.T) {
	f := open(t, "cursor", "{}\n")
	if err := os.Chmod(f.Path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add("example", example); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save(); err == nil || err.Error() != f.Path+" is read-only and left as it is" {
		t.Error(err)
	}
	if got := read(t, f.Path); got != "{}\n" {
		t.Errorf("it holds %q", got)
	}
	if got := names(t, filepath.Dir(f.Path)); got != "config" {
		t.Errorf("in the folder: %s", got)
	}
}

// A host that runs may write its file while the user thinks about the change.
func TestSaveChangedMeanwhile(t *testing.T) {
	for _, host := range []string{"", "{}"} {
		path := filepath.Join(t.TempDir(), "config")
		if host != "" {
			if err := os.WriteFile(path, []byte(host), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f, err := Find("cursor").Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(`{"a": 1}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Add("example", example); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Save(); err == nil || !strings.Contains(err.Error(), "has changed meanwhile") {
			t.Error(err)
		}
		if got := read(t, path); got != `{"a": 1}` {
			t.Errorf("it holds %q", got)
		}
	}
}

// People keep such files in a repository, and link to them.
func TestSaveThroughLink(t *testing.T) {
	f := open(t, "cursor", "{}\n")
	link := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.Symlink(f.Path, link); err != nil {
		t.Skip(err)
	}
	f, err := f.Host.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add("example", example); err != nil {
		t.Fatal(err)
	}
	backup, err := f.Save()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
	if got := read(t, link); !strings.Contains(got, "example.com") {
		t.Errorf("it holds %q", got)
	}
	if filepath.Dir(backup) == filepath.Dir(link) || read(t, backup) != "{}\n" {
		t.Errorf("backup %s", backup)
	}
}

func TestSaveThroughBrokenLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skip(err)
	}
	f, err := Find("cursor").Open(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add("example", example); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Save(); err == nil || !strings.Contains(err.Error(), "is a link to a file that does not exist") {
		t.Error(err)
	}
	if got := names(t, filepath.Dir(link)); got != "mcp.json" {
		t.Errorf("in the folder: %s", got)
	}
}

// No backup takes the place of another.
func TestSaveTwice(t *testing.T) {
	f := open(t, "cursor", "{}\n")
	seen := make(map[string]bool)
	for _, name := range []string{"a", "b", "c"} {
		f, err := f.Host.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Add(name, example); err != nil {
			t.Fatal(err)
		}
		backup, err := f.Save()
		if err != nil || seen[backup] {
			t.Fatalf("%q, %v", backup, err)
		}
		seen[backup] = true
	}
}
