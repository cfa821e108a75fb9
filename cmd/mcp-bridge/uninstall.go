package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
)

// uninstallCommand returns the command that takes an entry of ours out of a host's file.
func uninstallCommand() *cobra.Command {
	var yes, show bool
	var file string
	cmd := &cobra.Command{
		Use:   "uninstall HOST NAME|URL",
		Short: "Take what install has put into a host out again",
		Long: `Take an entry that starts mcp-bridge out of the file where an MCP host keeps its servers, by its name
or by its URL. All else in the file stays as it is; you see the change and are asked, and what the
file was is kept beside it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("uninstall takes a host and the name or the URL of an entry; 'mcp-bridge install --list' lists them")
			}
			return nil
		},
		ValidArgsFunction: completeEntry,
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := findHost(args[0])
			if err != nil {
				return err
			}
			f, err := openFile(host, file)
			if err != nil {
				return err
			}
			e, err := findOwn(f, args[1])
			if err != nil {
				return err
			}
			c := newChange(cmd, f)
			if err := c.remove(e); err != nil {
				return err
			}
			if show {
				c.print()
				return nil
			}
			return c.confirmAndSave(yes)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "change this `FILE`, such as one of a project, and not the user's")
	cmd.Flags().BoolVar(&show, "print", false, "only show what would be taken out")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before writing")
	return cmd
}

// findOwn returns the entry of ours with this name or URL.
func findOwn(f *hostconfig.File, nameOrURL string) (hostconfig.Entry, error) {
	var matches []hostconfig.Entry
	other := "" // the program that an entry of this name starts instead
	for _, e := range f.Entries() {
		program, args := e.Bridge()
		isURL := strings.Contains(nameOrURL, "://")
		switch {
		case isURL && program == hostconfig.Own && sameURL(hostconfig.URLIn(args), nameOrURL), !isURL && program == hostconfig.Own && e.Name == nameOrURL:
			matches = append(matches, e)
		case !isURL && e.Name == nameOrURL:
			other = e.Name
		}
	}
	what := nameOrURL
	if strings.Contains(what, "://") {
		what = withoutSecrets(what)
	}
	// What the user has for all projects comes before what one project has.
	slices.SortStableFunc(matches, func(a, b hostconfig.Entry) int { return len(a.Section) - len(b.Section) })
	switch {
	case len(matches) == 0 && other != "":
		return hostconfig.Entry{}, fmt.Errorf("the entry %q in %s does not start mcp-bridge, and is left as it is", other, f.Path)
	case len(matches) == 0:
		return hostconfig.Entry{}, fmt.Errorf("nothing in %s starts mcp-bridge for %s; 'mcp-bridge install --list' lists what does", f.Path, oneLine(what))
	case len(matches) > 1 && len(matches[0].Section) == len(matches[1].Section):
		var labels []string
		for _, e := range matches {
			labels = append(labels, entryLabel(e))
		}
		return hostconfig.Entry{}, fmt.Errorf("there are several entries for %s: %s; say which one by its name", oneLine(what), strings.Join(labels, ", "))
	}
	return matches[0], nil
}

// completeEntry lets the shell complete the host, and then the names of entries of ours in it.
func completeEntry(cmd *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeHost(cmd, args, word)
	}
	var names []cobra.Completion
	if host := hostconfig.Find(args[0]); host != nil {
		if f, err := openFile(host, ""); err == nil {
			for _, e := range f.Entries() {
				if program, _ := e.Bridge(); program == hostconfig.Own {
					names = append(names, e.Name)
				}
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
