package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// options is what the command line and the environment say.
type options struct {
	url             string
	name            string      // by which the server was called, if it has one
	configHeader    http.Header // of a server that has a name
	header          http.Header // --header
	headerFile      http.Header // --header-file
	headerCommand   string
	printedHeader   *headerCommand // runs headerCommand; set by newHTTPClient, or nil
	transport       bridge.Transport
	era             bridge.Era
	protocolVersion string
	allowHTTP       bool
	extraCAs        []byte   // certificates in PEM form, beside the system's
	proxy           *url.URL // nil: as the standard variables say
	connectTimeout  time.Duration
	responseTimeout time.Duration
	inputTimeout    time.Duration
	initializeGrace time.Duration
	offlineStart    bool
	pending         pending
	maxMessage      int64
	maxInFlight     int
	keepAlive       time.Duration
	logLevel        slog.Level
	logFile         *logFile  // or nil
	redactor        *redactor // of the log; set by newLogger
	disableCookies  bool
	ipv4, ipv6      bool
	tlsCertFile     string
	tlsKeyFile      string
	clientCert      *tls.Certificate // or nil
	version         bool
	onLine          lineSecrets
	auth            authOptions
	policy          policyOptions

	fromVariable map[string]bool // the flags that the environment has set
	warnings     []string        // for the log, once there is one
}

// register sets the defaults and defines the flags. Their one-line descriptions are for shell
// completion; usage.txt has them too.
func (o *options) register(fs *pflag.FlagSet) {
	*o = options{
		configHeader:    make(http.Header),
		header:          make(http.Header),
		headerFile:      make(http.Header),
		fromVariable:    make(map[string]bool),
		connectTimeout:  10 * time.Second,
		responseTimeout: 30 * time.Minute,
		inputTimeout:    bridge.DefaultInputTimeout,
		initializeGrace: bridge.DefaultInitializeGrace,
		maxMessage:      bridge.DefaultMaxMessage,
		maxInFlight:     bridge.DefaultMaxInFlight,
		logLevel:        slog.LevelWarn,
	}
	fs.SortFlags = false
	fs.Func("header", "send this header with every request", func(s string) error {
		o.onLine.note(s)
		return addHeader(o.header, s)
	})
	fs.Func("header-file", "read headers from this file", func(s string) error {
		return readHeaderFile(o.headerFile, s)
	})
	fs.StringVar(&o.headerCommand, "header-command", "", "send the headers that this command prints")
	fs.Func("transport", "http (streamable HTTP), sse (HTTP+SSE of 2024), or auto", o.setTransport)
	fs.Func("era", "legacy (servers with a handshake), modern (those of 2026-07-28), or auto", o.setEra)
	fs.Func("protocol-version", "speak this protocol revision with the server", o.setProtocolVersion)
	fs.BoolVar(&o.allowHTTP, "allow-http", false, "allow plain http to hosts other than this one")
	fs.Func("ca-file", "trust the certificates in this PEM file too", o.addCAFile)
	fs.Func("proxy", "use this http, https or socks5 proxy", o.setProxy)
	fs.StringVar(&o.tlsCertFile, "tls-cert", "", "show this certificate to servers that ask for one")
	fs.StringVar(&o.tlsKeyFile, "tls-key", "", "its private key")
	fs.BoolVar(&o.ipv4, "ipv4", false, "connect by IPv4 only")
	fs.BoolVar(&o.ipv6, "ipv6", false, "connect by IPv6 only")
	fs.BoolVar(&o.disableCookies, "disable-cookies", false, "send back no cookies")
	fs.Func("connect-timeout", "time limit for a connection", durationInto(&o.connectTimeout))
	fs.Func("response-timeout", "time limit for the beginning of an answer", durationInto(&o.responseTimeout))
	fs.Func("input-timeout", "how long a call that is translated waits for what a person enters", durationInto(&o.inputTimeout))
	fs.Func("initialize-grace", "how long the host waits for initialize while the user is to sign in", durationInto(&o.initializeGrace))
	fs.BoolVar(&o.offlineStart, "offline-start", false, "let the host start while the server is down")
	fs.Func("max-message", "refuse larger messages", o.setMaxMessage)
	fs.Func("max-in-flight", "how many requests may be under way", o.setMaxInFlight)
	fs.Func("keep-alive", "ping the server when nothing was under way for so long", durationInto(&o.keepAlive))
	fs.Func("log-level", "what to say on standard error", o.setLogLevel)
	fs.Func("log-file", "append the log to this file too", o.setLogFile)
	fs.BoolP("help", "h", false, "print this text")
	o.policy.register(fs)
	o.auth.register(fs)
	o.registerMcpRemote(fs)
}

// withoutVariable are the flags that are about one run alone.
var withoutVariable = []string{"help", "version", "all", "json", "login"}

// fromEnvironment gives the flags that the command line left out the values of their variables.
// An empty variable counts as none.
func (o *options) fromEnvironment(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var err error
	fs.VisitAll(func(f *pflag.Flag) {
		name := "MCP_BRIDGE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, _ := lookup(name)
		if err != nil || value == "" || f.Changed || f.Hidden || slices.Contains(withoutVariable, f.Name) || o.settles(f.Name) {
			return
		}
		set := f.Value.Set
		switch f.Name {
		case "header":
			set = func(s string) error { return addHeaderLines(o.header, s) }
		case "allow-tool", "ignore-tool":
			set = eachWord(set)
		}
		if e := set(value); e != nil {
			err = usageError{fmt.Errorf("%s: %w", name, plainError(f, e))}
		}
		o.fromVariable[f.Name] = true
	})
	return err
}

// settles tells whether the variable of a flag counts no more, since another flag says the same or the
// opposite.
func (o *options) settles(name string) bool {
	switch name {
	case "ipv4":
		return o.ipv6
	case "ipv6":
		return o.ipv4
	}
	return o.auth.settles(name)
}

// requestHeader returns the headers to send. What --header gives replaces what --header-file
// says of the same header, and both what a named server's own settings say.
func (o *options) requestHeader() http.Header {
	h := http.Header{"User-Agent": {"mcp-bridge/" + strings.Trim(versionText(), "()")}}
	for _, given := range []http.Header{o.configHeader, o.headerFile, o.header} {
		for name, values := range given {
			h[name] = values
		}
	}
	return h
}

// flagError turns pflag's errors into ours, which never show a value.
func flagError(_ *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usageError{fmt.Errorf("--%s: %w", e.GetFlag().Name, plainError(e.GetFlag(), e.Unwrap()))}
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usageError{fmt.Errorf("--%s needs a value", e.GetFlag().Name)}
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if e.GetSpecifiedShortnames() != "" {
			return usageError{fmt.Errorf("unknown flag -%s; names of flags have two dashes, as in --header", e.GetSpecifiedName())}
		}
		// With "--header A: b" as one argument, the name has the value in it.
		name, _, more := strings.Cut(e.GetSpecifiedName(), " ")
		if more {
			return usageError{fmt.Errorf("--%s and its value have to be two arguments, or joined by =", name)}
		}
		name, _, _ = strings.Cut(name, ":")
		return usageError{fmt.Errorf("unknown flag --%s", name)}
	}
	return usageError{errors.New("bad flag syntax")}
}

// plainError returns the error for a bad value of f in plain words.
func plainError(f *pflag.Flag, err error) error {
	if f.NoOptDefVal == "true" {
		return errors.New("must be true or false")
	}
	return err
}

func (o *options) setTransport(s string) error {
	switch s {
	case "auto", "http-first", "sse-first": // the latter two are mcp-remote's
		o.transport = bridge.TransportAuto
	case "http", "http-only":
		o.transport = bridge.TransportHTTP
	case "sse", "sse-only":
		o.transport = bridge.TransportSSE
	default:
		return errors.New("must be auto, http or sse")
	}
	return nil
}

func (o *options) setEra(s string) error {
	switch era := bridge.Era(s); era {
	case bridge.EraAuto, bridge.EraLegacy, bridge.EraModern:
		o.era = era
		return nil
	}
	return errors.New("must be auto, legacy or modern")
}

func (o *options) setProtocolVersion(s string) error {
	if known := bridge.ProtocolVersions(); !slices.Contains(known, s) {
		return fmt.Errorf("must be one of %s", strings.Join(known, ", "))
	}
	o.protocolVersion = s
	return nil
}

func (o *options) setProxy(s string) error {
	if !strings.Contains(s, "://") {
		s = "http://" + s // as in the standard variables
	}
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("broken URL: %w", withoutURL(err))
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return fmt.Errorf("%s is no scheme of a proxy; http, https and socks5 are", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("the URL has no host")
	}
	o.proxy = u
	return nil
}

// durationInto returns a function that parses s, as Go writes durations or in plain seconds,
// into *d.
func durationInto(d *time.Duration) func(s string) error {
	return func(s string) error {
		if _, err := strconv.ParseUint(s, 10, 32); err == nil {
			s += "s"
		}
		v, err := time.ParseDuration(s)
		if err != nil || v < 0 {
			return errors.New("must be a time such as 10s, 1m30s or 10 (seconds)")
		}
		*d = v
		return nil
	}
}

func (o *options) setMaxMessage(s string) error {
	digits := strings.TrimRight(s, "kKmMgGiIbB")
	shift := 0
	switch strings.ToLower(s[len(digits):]) {
	case "":
	case "k", "kib":
		shift = 10
	case "m", "mib":
		shift = 20
	case "g", "gib":
		shift = 30
	default:
		shift = -1
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || shift < 0 || n <= 0 || n<<shift>>shift != n {
		return errors.New("must be a size such as 1048576, 500KiB, 64MiB or 1GiB")
	}
	o.maxMessage = n << shift
	return nil
}

func (o *options) setMaxInFlight(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("must be a number, 1 or more")
	}
	o.maxInFlight = n
	return nil
}

// check looks at what no flag can know by itself. It comes after the environment.
func (o *options) check() error {
	if o.ipv4 && o.ipv6 {
		return errors.New("--ipv4 excludes IPv6, and --ipv6 excludes IPv4: only one of them can be meant")
	}
	return o.loadClientCert()
}
