package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// An installation is what the command line of install says.
type installation struct {
	list, migrate, print, yes bool

	name  string            // of the entry, "" for one made from the URL
	file  string            // to change, "" for the host's
	env   map[string]string // of the entry
	flags []string          // of the relay, each with its value
}

// installCommand returns the command that lets a host start the relay.
func installCommand() *cobra.Command {
	in := installation{env: make(map[string]string)}
	cmd := &cobra.Command{
		Use:   "install HOST URL",
		Short: "Let an MCP host use the server at URL",
		Long: `Put an entry into the file where an MCP host keeps its servers, so that the host starts mcp-bridge
for the server at URL. All else in the file stays as it is, to the byte; before it is written, you
see the change and are asked, and what the file was is kept beside it.

For a host that is not among those below, 'mcp-bridge install URL --print' shows what to write into its file.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeHostAndServer,
		RunE:              func(cmd *cobra.Command, args []string) error { return in.run(cmd, args) },
	}
	fs := cmd.Flags()
	var o options
	o.register(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			f.Value = &passedOn{f.Value, f.Name, &in.flags}
		}
	})
	completeFlags(cmd)
	own := pflag.NewFlagSet("install", pflag.ContinueOnError)
	own.SortFlags = false
	own.StringVar(&in.name, "name", "", "call the entry `NAME` (default: made from the URL)")
	own.Func("env", "put `VAR=VALUE` into the environment of the entry; VAR alone takes its value from here (repeatable)", in.addEnv)
	own.StringVar(&in.file, "file", "", "change this `FILE`, such as one of a project, and not the user's")
	own.BoolVar(&in.print, "print", false, "only show what would be written")
	own.BoolVar(&in.yes, "yes", false, "do not ask before writing")
	own.BoolVar(&in.migrate, "migrate", false, "replace mcp-remote, supergateway and mcp-proxy, in HOST or in all hosts")
	own.BoolVar(&in.list, "list", false, "list the hosts, and what is in their files")
	fs.AddFlagSet(own)
	ownUsage(cmd, own)
	return cmd
}

// ownUsage lists the flags of a command that takes those of the relay too.
func ownUsage(cmd *cobra.Command, own *pflag.FlagSet) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		out := cmd.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  mcp-bridge %s [flags]\n", cmd.Use)
		fmt.Fprint(out, "  mcp-bridge install --list\n  mcp-bridge install [HOST] --migrate\n\nHosts:\n")
		for _, h := range hostconfig.Hosts() {
			fmt.Fprintf(out, "  %-16s %s\n", h.ID, h.Name)
		}
		fmt.Fprintf(out, "\nFlags:\n%s", own.FlagUsages())
		fmt.Fprint(out, "  and those of mcp-bridge itself, for the entry; see 'mcp-bridge --help'\n")
		return nil
	})
}

// A passedOn is the value of a flag of the relay. Whether it is good is found out with all of them.
type passedOn struct {
	pflag.Value
	name string
	to   *[]string
}

func (v *passedOn) Set(s string) error {
	*v.to = append(*v.to, "--"+v.name+"="+s)
	return nil
}

func hostIDs() string {
	var ids []string
	for _, h := range hostconfig.Hosts() {
		ids = append(ids, h.ID)
	}
	return strings.Join(ids, ", ")
}

// completeHost lets the shell complete the name of a host.
func completeHost(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []cobra.Completion
	for _, h := range hostconfig.Hosts() {
		all = append(all, cobra.CompletionWithDesc(h.ID, h.Name))
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// completeHostAndServer lets the shell complete a host, and then the names of servers.
func completeHostAndServer(cmd *cobra.Command, args []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return completeName(cmd, nil, given)
	}
	return completeHost(cmd, args, given)
}

// findHost returns the host with this ID.
func findHost(id string) (*hostconfig.Host, error) {
	if h := hostconfig.Find(id); h != nil {
		return h, nil
	}
	return nil, usageError{fmt.Errorf("there is no host %q; there are %s, and for any other 'mcp-bridge install URL --print' shows what to write", id, hostIDs())}
}

func (in *installation) addEnv(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		if value, ok = os.LookupEnv(name); !ok {
			return errors.New("must be VAR=VALUE, or a variable that is set here")
		}
	}
	if name == "" {
		return errors.New("must be VAR=VALUE")
	}
	in.env[name] = value
	return nil
}

func (in *installation) run(cmd *cobra.Command, args []string) error {
	forEntry := in.name != "" || len(in.env) > 0 || len(in.flags) > 0
	switch {
	case in.list && (len(args) > 0 || in.migrate || in.print || in.yes || in.file != "" || forEntry):
		return usageError{errors.New("install --list takes nothing else")}
	case in.list:
		return listHosts(cmd)
	case in.migrate && (len(args) > 1 || forEntry):
		return usageError{errors.New("install --migrate takes a host at most: URLs and flags are in the entries")}
	case in.migrate && len(args) == 0 && in.file != "":
		return usageError{errors.New("--file needs the host whose file it is")}
	case in.migrate:
		return in.migrateAll(cmd, args)
	case len(args) > 0 && strings.Contains(args[0], "://") && !in.print:
		return usageError{fmt.Errorf("for which host? There are %s; for any other, --print shows what to write", hostIDs())}
	case len(args) > 0 && strings.Contains(args[0], "://"):
		return in.installIn(cmd, nil, args)
	case len(args) == 0:
		return usageError{errors.New("install takes a host and a URL, as in: mcp-bridge install cursor https://example.com/mcp; --list lists the hosts")}
	}
	host, err := findHost(args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return usageError{urlMissing(cmd.CommandPath() + " " + host.ID)}
	}
	return in.installIn(cmd, host, args[1:])
}

// installIn installs the server that args name in a host, nil for any.
func (in *installation) installIn(cmd *cobra.Command, host *hostconfig.Host, args []string) error {
	line, err := parseRelayLine(slices.Concat(in.flags, args), in.env)
	if err != nil {
		return err
	}
	if err := line.makeAbsolute(); err != nil {
		return err
	}
	name := in.name
	if name == "" {
		if name = line.name; !isEntryName(name) {
			name = entryName(line.url, profileIn(line.args()))
		}
	} else if !isEntryName(name) {
		return usageError{errors.New("--name: use letters, digits, - and _, as some hosts take no others")}
	}
	line.warn(cmd)
	server, err := line.server(cmd)
	if err != nil {
		return err
	}
	if in.print {
		sayNeeds(cmd, host, server.Needs)
		return printEntry(cmd, host, name, server)
	}
	f, err := openFile(host, in.file)
	if err != nil {
		return err
	}
	if s, err := hostconfig.Local(); err == nil && in.file == "" && !host.Found(s) {
		sayWarning(cmd, host.Name+" was not found here; its file is made for when it is")
	}
	c := newChange(cmd, f)
	if in.name == "" {
		err = c.addOrUpdate(name, server)
	} else {
		err = c.addNamed(name, server)
	}
	if err != nil {
		return err
	}
	sayNeeds(cmd, host, c.needs)
	if names := otherBridges(f); len(names) > 0 {
		c.remark = fmt.Sprintf("other bridges are in there too (%s); 'mcp-bridge install %s --migrate' puts mcp-bridge in their place", strings.Join(names, ", "), host.ID)
	}
	return c.confirmAndSave(in.yes)
}

// server returns how a host has to start this line.
func (l *relayLine) server(cmd *cobra.Command) (hostconfig.Server, error) {
	command, err := ownCommand(cmd)
	if err != nil {
		return hostconfig.Server{}, err
	}
	return hostconfig.Server{Command: command, Args: l.args(), Env: l.env, Needs: l.needs()}, nil
}

// warn hides the secrets of the line, and says so.
func (l *relayLine) warn(cmd *cobra.Command) {
	for _, flag := range l.hideSecrets() {
		sayWarning(cmd, "the secret in "+flag+" goes into the entry's env, where process lists do not show it; whoever can read the file can read it still")
	}
	if l.name == "" && hasPassword(l.url) {
		sayWarning(cmd, "the URL holds a password, which others on this machine can see while the host runs")
	}
}

// sayNeeds says which variables have to come from elsewhere. Host is nil for any.
func sayNeeds(cmd *cobra.Command, host *hostconfig.Host, names []string) {
	for _, name := range names {
		into := fmt.Sprintf("--env %s=VALUE puts %s into the entry", name, name)
		switch {
		case host == nil:
			sayWarning(cmd, fmt.Sprintf("the host has to have the variable %s; %s", name, into))
		case host.PassesEnv:
			sayWarning(cmd, fmt.Sprintf("%s has to have the variable %s when it is started; %s", host.Name, name, into))
		default:
			sayWarning(cmd, fmt.Sprintf("%s does not pass on variables of its own; %s", host.Name, into))
		}
	}
}

func sayWarning(cmd *cobra.Command, text string) {
	fmt.Fprintf(cmd.ErrOrStderr(), "mcp-bridge: warning: %s\n", oneLine(text))
}

// printEntry prints what to write into a host's file.
func printEntry(cmd *cobra.Command, host *hostconfig.Host, name string, server hostconfig.Server) error {
	if host == nil {
		fmt.Fprint(cmd.OutOrStdout(), hostconfig.Find("cursor").Sample(name, server)) // as most have it
		return nil
	}
	if s, err := hostconfig.Local(); err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "mcp-bridge: %s has this in %s\n", host.Name, host.File(s))
	}
	fmt.Fprint(cmd.OutOrStdout(), host.Sample(name, server))
	return nil
}

// openFile opens a file of a host on this machine, "" for the user's.
func openFile(host *hostconfig.Host, file string) (*hostconfig.File, error) {
	if file != "" {
		return host.Open(file)
	}
	s, err := hostconfig.Local()
	if err != nil {
		return nil, err
	}
	return host.Open(host.File(s))
}
