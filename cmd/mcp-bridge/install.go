package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
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
		ValidArgsFunction: completeHost,
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
		name = entryName(line.url, profileIn(line.args()))
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

// otherBridges returns the entries of a file that start another bridge.
func otherBridges(f *hostconfig.File) []string {
	var names []string
	for _, e := range f.Entries() {
		if program, _ := e.Bridge(); program != "" && program != hostconfig.Own {
			names = append(names, entryLabel(e))
		}
	}
	return names
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
	if hasPassword(l.url) {
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

// addOrUpdate lets the host start server under this name, or another one if that is taken. An entry
// of ours for the same URL and profile is updated.
func (c *change) addOrUpdate(name string, server hostconfig.Server) error {
	taken := make(map[string]bool)
	for _, e := range c.file.Entries() {
		if len(e.Section) > 1 {
			continue // another project's
		}
		taken[e.Name] = true
		if e.URL != "" && sameURL(e.URL, server.Args[0]) {
			sayWarning(c.cmd, fmt.Sprintf("the entry %q reaches this server too, without a bridge: its tools will be there twice", e.Name))
		}
		program, args := e.Bridge()
		if program == "" || !sameURL(hostconfig.URLIn(args), server.Args[0]) || profileIn(args) != profileIn(server.Args) {
			continue
		}
		if program != hostconfig.Own {
			return fmt.Errorf("the entry %q reaches this server by %s; 'mcp-bridge install %s --migrate' replaces it, and --name adds another entry", e.Name, program, c.file.Host.ID)
		}
		return c.update(e, server)
	}
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return c.add(free, server)
}

// addNamed lets the host start server under just this name.
func (c *change) addNamed(name string, server hostconfig.Server) error {
	for _, e := range c.file.Entries() {
		if e.Name != name || len(e.Section) > 1 {
			continue
		}
		if program, _ := e.Bridge(); program != hostconfig.Own {
			return fmt.Errorf("the entry %q in %s starts another program; choose another --name", name, c.file.Path)
		}
		return c.update(e, server)
	}
	return c.add(name, server)
}

// secretVariables hold what hideSecrets has moved.
var secretVariables = []string{"MCP_BRIDGE_HEADER", "MCP_BRIDGE_CLIENT_SECRET", "MCP_BRIDGE_PROXY"}

// update lets an entry of ours start server. The variables in it stay, but for those that stand for
// flags that are not given any more.
func (c *change) update(e hostconfig.Entry, server hostconfig.Server) error {
	env := make(map[string]string)
	for name, value := range e.Env {
		if !slices.Contains(secretVariables, name) {
			env[name] = value
		}
	}
	maps.Copy(env, server.Env)
	server.Env = env
	server.Needs = slices.DeleteFunc(server.Needs, func(name string) bool {
		_, ok := env[name]
		return ok
	})
	return c.replace(e, server)
}

// sameURL tells whether two URLs are the same, but for a slash at the end and the case of the host.
func sameURL(a, b string) bool {
	plain := func(s string) string {
		u, err := url.Parse(strings.TrimSuffix(s, "/"))
		if err != nil {
			return s
		}
		u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
		return u.String()
	}
	return plain(a) == plain(b)
}

// profileIn returns the value of --profile in args.
func profileIn(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--profile="); ok {
			return value
		}
		if arg == "--profile" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// isEntryName tells whether every host takes this as the name of an entry.
func isEntryName(s string) bool {
	return s != "" && s == entryPart(s)
}

// entryPart returns s with all replaced that not every host takes in the name of an entry.
func entryPart(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// entryName makes a name out of the host of a URL: "linear" for https://mcp.linear.app/sse.
func entryName(server, profile string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "server" // not after parseRelayLine
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	name := host
	switch labels := strings.Split(host, "."); {
	case isLoopback(host):
		name = "localhost"
	case net.ParseIP(host) != nil:
	case len(labels) > 1:
		labels = labels[:len(labels)-1]
		// co.uk, com.au and their like
		if last := labels[len(labels)-1]; len(labels) > 1 && len(last) <= 3 && len(host)-strings.LastIndexByte(host, '.') == 3 {
			labels = labels[:len(labels)-1]
		}
		name = labels[len(labels)-1]
	}
	if u.Port() != "" && (isLoopback(host) || net.ParseIP(host) != nil) {
		name += "-" + u.Port()
	}
	if profile != "" {
		name += "-" + profile
	}
	return strings.Trim(entryPart(name), "-")
}
