package main

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// mayImport says which packages, outside the standard library, each package may import. "/..."
// stands for all below. A package that is not here is a decision to take first.
var mayImport = map[string][]string{
	"mcp-bridge/cmd/mcp-bridge": {
		"mcp-bridge/bridge", "mcp-bridge/auth",
		"mcp-bridge/bridge/bridgetest", "mcp-bridge/auth/authtest", // for the demo
		"mcp-bridge/cmd/mcp-bridge/hostconfig",
		"github.com/pelletier/go-toml/v2", "github.com/pelletier/go-toml/v2/unstable",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sys/...", "golang.org/x/term",
	},
	// Files of others: nothing of it may depend on how we relay.
	"mcp-bridge/cmd/mcp-bridge/hostconfig": {
		"github.com/tailscale/hujson", "github.com/pelletier/go-toml/v2", "github.com/pelletier/go-toml/v2/unstable",
	},
	// The bridge knows nothing of authorization, and could serve another program.
	"mcp-bridge/bridge": {
		"github.com/mark3labs/mcp-go/mcp",
	},
	// Nor does auth know of the bridge.
	"mcp-bridge/auth": {
		"golang.org/x/oauth2", "golang.org/x/oauth2/clientcredentials", "github.com/pkg/browser",
		"github.com/gofrs/flock", "github.com/zalando/go-keyring", "github.com/golang-jwt/jwt/v5", "golang.org/x/sys/...",
	},
	// The servers that tests and the demo run against are linked into the program, so they must
	// cost nothing at start.
	"mcp-bridge/bridge/bridgetest": {},
	"mcp-bridge/auth/authtest": {
		"github.com/golang-jwt/jwt/v5",
	},
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg, imports := fields[0], fields[1:]
		allowed, ok := mayImport[pkg]
		if !ok {
			t.Errorf("package %s is not in the table of this test", pkg)
			continue
		}
		for _, imp := range imports {
			if !isStandard(imp) && !contains(allowed, imp) {
				t.Errorf("%s must not import %s", pkg, imp)
			}
		}
	}
}

// isStandard tells whether a package is one of the standard library.
func isStandard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") && first != "mcp-bridge"
}

func contains(allowed []string, pkg string) bool {
	for _, a := range allowed {
		tree, isTree := strings.CutSuffix(a, "...")
		if pkg == a || isTree && strings.HasPrefix(pkg, tree) {
			return true
		}
	}
	return false
}

// TestPackageComments wants one file of each package, and only one, to say what the package is.
func TestPackageComments(t *testing.T) {
	for pkg := range mayImport {
		files, err := filepath.Glob(filepath.Join("../..", strings.TrimPrefix(pkg, "mcp-bridge"), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var with []string
		shipped := 0
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			shipped++
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Error(err)
			} else if f.Doc != nil {
				with = append(with, path.Base(name))
			}
		}
		if shipped > 0 && len(with) != 1 {
			t.Errorf("%s should have one package comment, has %d: %s", pkg, len(with), with)
		}
	}
}
