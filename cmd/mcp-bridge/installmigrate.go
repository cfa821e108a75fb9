package main

import (
	"errors"
	"fmt"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
)

// migrateAll replaces other bridges in the host that args name, or in all that are found.
func (in *installation) migrateAll(cmd *cobra.Command, args []string) error {
	hosts := hostconfig.Hosts()
	if len(args) > 0 {
		host, err := findHost(args[0])
		if err != nil {
			return err
		}
		hosts = []*hostconfig.Host{host}
	}
	found, failed := false, false
	for _, host := range hosts {
		some, err := in.migrateIn(cmd, host)
		found = found || some
		if err != nil && len(hosts) == 1 {
			return err
		}
		if _, ok := errors.AsType[usageError](err); ok {
			return err // it would be the same with the next
		}
		if err != nil {
			sayError(cmd.ErrOrStderr(), err)
			failed = true
		}
	}
	if failed {
		return loggedError{errors.New("some files were left as they are")}
	}
	if !found {
		fmt.Fprintln(cmd.OutOrStdout(), "no entry uses mcp-remote, supergateway or mcp-proxy to reach a server")
	}
	return nil
}

// migrateIn replaces other bridges in one host, and tells whether there were any.
func (in *installation) migrateIn(cmd *cobra.Command, host *hostconfig.Host) (found bool, err error) {
	f, err := openFile(host, in.file)
	if err != nil {
		return false, err
	}
	c := newChange(cmd, f)
	command := ""
	for _, e := range f.Entries() {
		program, args := e.Bridge()
		if program == "" || program == hostconfig.Own {
			continue
		}
		found = true
		line, err := translate(program, args, e.Env)
		if err != nil {
			fmt.Fprintf(&c.shown, "    %s stays with %s: %s\n", entryLabel(e), program, oneLine(err.Error()))
			continue
		}
		line.hideSecrets() // they are no better known than before
		if command == "" {
			if command, err = ownCommand(cmd); err != nil {
				return true, err
			}
		}
		server := hostconfig.Server{Command: command, Args: line.args(), Env: line.env, Needs: line.needs()}
		if err := c.replace(e, server); err != nil {
			return true, err
		}
	}
	switch {
	case !found:
		return false, nil
	case in.print || !f.Changed():
		c.print()
		return true, nil
	}
	c.remark = "a server that wants a sign-in asks for it once more: logins of other bridges are not taken over"
	return true, c.confirmAndSave(in.yes)
}

// entryLabel returns the name of an entry, and the project that it is for.
func entryLabel(e hostconfig.Entry) string {
	if len(e.Section) > 1 {
		return fmt.Sprintf("%q (in %s)", e.Name, oneLine(e.Section[1]))
	}
	return fmt.Sprintf("%q", e.Name)
}
