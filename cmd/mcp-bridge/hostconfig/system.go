package hostconfig

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// A System is the machine that hosts are looked for on.
type System struct {
	OS     string // as in runtime.GOOS
	Home   string // the user's folder
	Getenv func(name string) string
	Exists func(path string) bool // tells whether there is a file or a folder
}

// Local returns the machine that the program runs on. It fails if the user has no home folder.
func Local() (System, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return System{}, fmt.Errorf("finding your home folder: %w", err)
	}
	return System{runtime.GOOS, home, os.Getenv, func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}}, nil
}

// join joins the parts of a path as the system does, which need not be the one we run on.
func (s System) join(parts ...string) string {
	if s.OS == "windows" {
		return strings.Join(parts, `\`)
	}
	return strings.Join(parts, "/")
}

// dir returns the folder that the variable names, or else this folder below the user's.
func (s System) dir(variable string, below ...string) string {
	return cmp.Or(s.Getenv(variable), s.join(append([]string{s.Home}, below...)...))
}

// config returns the folder where programs keep their settings.
func (s System) config() string {
	switch s.OS {
	case "windows":
		return s.dir("APPDATA", "AppData", "Roaming")
	case "darwin":
		return s.join(s.Home, "Library", "Application Support")
	default:
		return s.dir("XDG_CONFIG_HOME", ".config")
	}
}

// cache returns the folder where programs written for Node.js keep what they can do without.
func (s System) cache() string {
	switch s.OS {
	case "windows":
		return s.dir("LOCALAPPDATA", "AppData", "Local")
	case "darwin":
		return s.join(s.Home, "Library", "Caches")
	default:
		return s.dir("XDG_CACHE_HOME", ".cache")
	}
}
