package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// What the release says of itself, set at link time: -ldflags "-X main.version=v1.2.3 -X main.commit=…".
var version, commit string

// unknownVersion is what the Go command calls a module that is built where it is developed.
const unknownVersion = "(devel)"

// versionText returns the version of the program: that of the release, or the module's.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return unknownVersion
}

// commitText returns the commit that the program was built from: that of the release, or what the
// Go command has found in the working tree. It is empty where nobody knows.
func commitText() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, state string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			state = ", with changes"
		}
	}
	return revision + state
}

// versionCommand returns the command that tells all of which program this is, for bug reports.
func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print version, commit, Go release and platform",
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("version takes no argument")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			built := commitText()
			if built == "" {
				built = "unknown"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "mcp-bridge %s\n%-10s%s\n%-10s%s\n%-10s%s/%s\n", versionText(),
				"commit", built, "go", runtime.Version(), "platform", runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
