package main

import (
	"errors"
	"slices"

	"mcp-bridge/cmd/mcp-bridge/hostconfig"

	"github.com/spf13/pflag"
)

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
