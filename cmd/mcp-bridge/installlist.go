package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
)

// listHosts lists the hosts, and what is in their files.
func listHosts(cmd *cobra.Command) error {
	s, err := hostconfig.Local()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	migrate := false
	for _, host := range hostconfig.Hosts() {
		if !host.Found(s) {
			fmt.Fprintf(out, "%-17s%s was not found here\n", host.ID, host.Name)
			continue
		}
		fmt.Fprintf(out, "%-17s%s: %s\n", host.ID, host.Name, host.File(s))
		f, err := host.Open(host.File(s))
		if err != nil {
			fmt.Fprintf(out, "%-17s%s\n", "", oneLine(err.Error()))
			continue
		}
		by := make(map[string][]string)
		for _, e := range f.Entries() {
			program, _ := e.Bridge()
			by[program] = append(by[program], entryLabel(e))
			migrate = migrate || program != "" && program != hostconfig.Own
		}
		for _, program := range slices.Sorted(maps.Keys(by)) {
			if program != "" {
				fmt.Fprintf(out, "%-17sby %s: %s\n", "", program, strings.Join(by[program], ", "))
			}
		}
		if n := len(by[""]); n > 0 {
			fmt.Fprintf(out, "%-17sothers: %d\n", "", n)
		}
	}
	if migrate {
		fmt.Fprintln(out, "\n'mcp-bridge install --migrate' lets mcp-bridge take the place of other bridges")
	}
	return nil
}
