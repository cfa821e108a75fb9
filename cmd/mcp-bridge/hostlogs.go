package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
)

// logsShown bounds how many files are listed for a host.
const logsShown = 5

// logsCommand returns the command that shows where hosts keep their logs.
func logsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logs [HOST]",
		Short: "Show where MCP hosts keep their logs",
		Long: `Show where an MCP host, or each that is found on this machine, keeps its logs of MCP servers, and
which are there, the latest first. What mcp-bridge writes to standard error is in them; for a log of
its own, there is --log-file.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("logs takes one host, or none for all that are found")
			}
			return nil
		},
		ValidArgsFunction: completeHost,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := hostconfig.Local()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				host, err := findHost(args[0])
				if err != nil {
					return err
				}
				showLogs(cmd.OutOrStdout(), host, s)
				return nil
			}
			none := true
			for _, host := range hostconfig.Hosts() {
				if host.Found(s) {
					showLogs(cmd.OutOrStdout(), host, s)
					none = false
				}
			}
			if none {
				return fmt.Errorf("no host was found here; 'mcp-bridge logs HOST' says where one would keep its logs: %s", hostIDs())
			}
			return nil
		},
	}
}

// showLogs prints where the host's logs are, and those that exist.
func showLogs(out io.Writer, host *hostconfig.Host, s hostconfig.System) {
	patterns, advice := host.Logs(s)
	if advice != "" {
		fmt.Fprintf(out, "%s: %s\n", host.Name, advice)
		return
	}
	for _, pattern := range patterns {
		fmt.Fprintf(out, "%s: %s\n", host.Name, pattern)
	}
	type log struct {
		path string
		info os.FileInfo
	}
	var logs []log
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // the patterns are good
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				logs = append(logs, log{path, info})
			}
		}
	}
	slices.SortFunc(logs, func(a, b log) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	for i, l := range logs {
		if i == logsShown {
			fmt.Fprintf(out, "  and %d older ones\n", len(logs)-i)
			break
		}
		fmt.Fprintf(out, "  %s  %s  %s\n", l.info.ModTime().Local().Format(time.DateTime), byteCount(l.info.Size()), oneLine(l.path))
	}
	if len(logs) == 0 {
		fmt.Fprintln(out, "  there are none yet")
	}
}

// byteCount returns a size in words.
func byteCount(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	default:
		return fmt.Sprintf("%d MB", n/1_000_000)
	}
}
