package main

import (
	"errors"
	"net"
	"time"
)

// A dialError is the reason why there is no connection, and what to do, in words for a person in place of
// package net's.
type dialError struct {
	seen, advice string
	cause        error
}

func (e *dialError) Error() string { return e.seen + "; " + e.advice }
func (e *dialError) Unwrap() error { return e.cause }

// Timeout makes it the same kind of error to those who look at that.
func (e *dialError) Timeout() bool { return isTimeout(e.cause) }

// withDialWords returns a dialError for an error of dialing, and any other as it is. Limit is that for a
// connection.
func withDialWords(err error, limit time.Duration) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "dial" {
		return err
	}
	e := &dialError{cause: err}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		e.seen, e.advice = lookupWords(dns.Name, err)
		return e
	}
	if op.Addr == nil {
		return err
	}
	e.seen, e.advice = connectWords(op.Addr.String(), err, limit)
	return e
}

// lookupWords says why the host's name has no address.
func lookupWords(host string, err error) (seen, advice string) {
	const online = "see whether this machine is online, and which name server it uses"
	failed, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && failed.IsNotFound:
		return "there is no host named " + host, "look at its spelling; if it is a name within your organization, connect to its network or VPN"
	case ok && failed.IsTimeout:
		return "the name server does not answer for " + host, online
	}
	return host + " can't be looked up: " + plainText(err), online
}

// connectWords says why nothing connects to the address.
func connectWords(address string, err error, limit time.Duration) (seen, advice string) {
	switch {
	case isRefused(err):
		return address + " refuses connections", "see whether the server runs, and whether the port is the right one"
	case isTimeout(err):
		return address + " does not answer within " + limit.String(), "a firewall may be in the way, or a VPN missing; --connect-timeout gives it more time"
	}
	return "no connection to " + address + ": " + plainText(err), "see whether this machine is online; a VPN or a firewall may be in the way"
}
