package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

// translate returns the line of ours that does what another bridge does with these arguments.
func translate(program string, args []string, env map[string]string) (*relayLine, error) {
	var err error
	switch program {
	case hostconfig.Supergateway:
		args, err = fromSupergateway(args)
	case hostconfig.MCPProxy:
		args, err = fromMCPProxy(args, env)
	}
	if err != nil {
		return nil, err
	}
	if env["NODE_TLS_REJECT_UNAUTHORIZED"] == "0" {
		return nil, errors.New("it accepts every certificate; mcp-bridge trusts one more with --ca-file")
	}
	if file := env["NODE_EXTRA_CA_CERTS"]; file != "" && program != hostconfig.MCPProxy {
		args = slices.Concat(args, []string{"--ca-file", file})
	}
	return parseRelayLine(args, env)
}

// fromSupergateway translates the arguments with which supergateway is a client
// (https://github.com/supercorp-ai/supergateway).
func fromSupergateway(args []string) ([]string, error) {
	var sse, streamable, bearer, level string
	var headers []string
	fs := otherFlags("supergateway")
	fs.StringVar(&sse, "sse", "", "")
	fs.StringVar(&streamable, "streamableHttp", "", "")
	fs.StringVar(&bearer, "oauth2Bearer", "", "")
	fs.StringVar(&level, "logLevel", "", "")
	fs.String("outputTransport", "", "")
	fs.StringArrayVar(&headers, "header", nil, "")
	if err := fs.Parse(args); err != nil {
		return nil, flagError(nil, err)
	}
	var ours []string
	switch {
	case sse != "":
		ours = []string{sse, "--transport", "sse"}
	case streamable != "":
		ours = []string{streamable, "--transport", "http"}
	default:
		return nil, errors.New("there is no URL in it")
	}
	for _, h := range headers {
		ours = append(ours, "--header", h)
	}
	if bearer != "" {
		ours = append(ours, "--header", "Authorization: Bearer "+bearer)
	}
	switch level {
	case "debug":
		ours = append(ours, "--log-level", "debug")
	case "none":
		ours = append(ours, "--log-level", "error")
	}
	return ours, nil
}

// fromMCPProxy translates the arguments with which mcp-proxy is a client
// (https://github.com/sparfenyuk/mcp-proxy).
func fromMCPProxy(args []string, env map[string]string) ([]string, error) {
	var transport string
	var headers []string
	var debug bool
	fs := otherFlags("mcp-proxy")
	fs.StringVar(&transport, "transport", "", "")
	fs.StringArrayVarP(&headers, "headers", "H", nil, "")
	fs.BoolVar(&debug, "debug", false, "")
	// The flag takes two arguments, which no parser of ours knows.
	var single []string
	for i := 0; i < len(args); i++ {
		if (args[i] == "-H" || args[i] == "--headers") && i+2 < len(args) {
			single = append(single, "--headers="+args[i+1]+":"+args[i+2])
			i += 2
			continue
		}
		single = append(single, args[i])
	}
	if err := fs.Parse(single); err != nil {
		return nil, flagError(nil, err)
	}
	if fs.NArg() != 1 {
		return nil, errors.New("there is more than a URL in it")
	}
	ours := []string{fs.Arg(0)}
	switch transport {
	case "sse":
		ours = append(ours, "--transport", "sse")
	case "streamablehttp":
		ours = append(ours, "--transport", "http")
	}
	for _, h := range headers {
		ours = append(ours, "--header", h)
	}
	if env["API_ACCESS_TOKEN"] != "" {
		ours = append(ours, "--header", "Authorization:Bearer ${API_ACCESS_TOKEN}")
	}
	if debug {
		ours = append(ours, "--log-level", "debug")
	}
	return ours, nil
}

// otherFlags returns a set for the flags of another program.
func otherFlags(name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.Usage = func() {}
	return fs
}

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
