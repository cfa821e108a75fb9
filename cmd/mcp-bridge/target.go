package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// setURL checks args: the server's URL and nothing else, but for the callback port, which mcp-remote
// takes there.
func (o *options) setURL(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || strings.TrimSpace(args[0]) == "" {
		return usageError{urlMissing(cmd.CommandPath())}
	}
	given := strings.TrimSpace(args[0])
	if !strings.Contains(given, "://") {
		return usageError{noURL(cmd, given)}
	}
	if len(args) > 1 {
		if err := o.setPort(cmd, args); err != nil {
			return usageError{err}
		}
	}
	if err := o.checkURL(given); err != nil {
		return usageError{err}
	}
	o.url = given
	return nil
}

// urlMissing shows where the URL stands, behind this beginning of the command line.
func urlMissing(before string) error {
	return fmt.Errorf("the server's URL is missing, as in: %s https://example.com/mcp", before)
}

// checkURL looks at the server's URL.
func (o *options) checkURL(given string) error {
	if !strings.Contains(given, "://") {
		return fmt.Errorf("the URL has no scheme; did you mean https://%s?", given)
	}
	u, err := url.Parse(given)
	if err != nil {
		return fmt.Errorf("broken URL: %w", withoutURL(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the URL has to begin with https:// or http://, not with %s://", u.Scheme)
	}
	if u.Hostname() == "" {
		return errors.New("the URL has no host")
	}
	if u.Scheme == "http" && !o.allowHTTP && !isLoopback(u.Hostname()) {
		return fmt.Errorf("plain http to %s could be read and changed on its way; use https, or --allow-http if you trust the network", u.Host)
	}
	return nil
}

// noURL says what may be wrong with an argument that is no URL.
func noURL(cmd *cobra.Command, arg string) error {
	if similar := cmd.SuggestionsFor(arg); len(similar) > 0 {
		return fmt.Errorf("%q is neither a URL nor a command; did you mean '%s %s'?", arg, cmd.CommandPath(), similar[0])
	}
	if strings.ContainsAny(arg, "./:") && !strings.Contains(arg, " ") {
		return fmt.Errorf("the URL has no scheme; did you mean https://%s?", arg)
	}
	return fmt.Errorf("%q is neither a URL nor a command", arg)
}

// setPort takes a second argument that is a port. It is none if it may be the value of a header
// that was taken apart at its space.
func (o *options) setPort(cmd *cobra.Command, args []string) error {
	port, ok := portNumber(args[1])
	for _, values := range o.header {
		ok = ok && !slices.Contains(values, "")
	}
	if !ok || len(args) > 2 {
		return tooMany(cmd, args)
	}
	if cmd.Flags().Changed("callback-port") && o.auth.callbackPort != port {
		return fmt.Errorf("the callback port is %d by --callback-port, and %d behind the URL", o.auth.callbackPort, port)
	}
	o.auth.callbackPort = port
	return nil
}

// tooMany says that there are arguments beside the URL. They may well be parts of a header that
// lost its quotes on the way from the host's configuration, so they are not shown then.
func tooMany(cmd *cobra.Command, args []string) error {
	if cmd.Flags().Changed("header") {
		return errors.New("there are arguments beside the URL; " +
			"if a header was taken apart at its spaces, put its value into a variable: --header 'NAME:${VAR}'")
	}
	return fmt.Errorf("unexpected argument %q after the URL", args[1])
}

// isLoopback tells whether host names this machine's loopback interface.
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// withoutURL returns an error of [url.Parse] without the URL, which may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
