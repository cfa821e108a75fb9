package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
)

// serveSOCKS serves SOCKS5 (RFC 1928), with a password where one is offered (RFC 1929), until l is
// closed.
func (p *proxy) serveSOCKS(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go p.socks(client) // ends when one of its two connections is closed
	}
}

func (p *proxy) socks(client net.Conn) {
	defer client.Close()
	target, err := p.socksTarget(client)
	if err != nil {
		return
	}
	p.mu.Lock()
	fmt.Fprintf(&p.seen, "SOCKS %s\n", target)
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.addr)
	if err != nil {
		_, _ = client.Write([]byte{5, 1, 0, 1, 0, 0, 0, 0, 0, 0}) // general failure
		return
	}
	defer server.Close()
	_, _ = client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(client, server)
}

// socksTarget reads up to the CONNECT request, and returns what the client wants to be connected
// with: the kind of its address, the address and the port.
func (p *proxy) socksTarget(client net.Conn) (string, error) {
	var err error
	read := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(client, b)
		}
		return b
	}
	text := func() string { return string(read(int(read(1)[0]))) } // after its length

	read(1) // version
	method := byte(0)
	for _, m := range []byte(text()) {
		method = max(method, m) // 2 is a password
	}
	_, _ = client.Write([]byte{5, method})
	if method == 2 {
		read(1) // version
		user, password := text(), text()
		p.mu.Lock()
		fmt.Fprintf(&p.seen, "USER %s:%s\n", user, password)
		p.mu.Unlock()
		_, _ = client.Write([]byte{1, 0})
	}
	var target string
	switch kind := read(4)[3]; kind {
	case 1:
		target = "address " + net.IP(read(net.IPv4len)).String()
	case 3:
		target = "name " + text()
	case 4:
		target = "address " + net.IP(read(net.IPv6len)).String()
	default:
		return "", fmt.Errorf("address of the unknown kind %d", kind)
	}
	port := read(2)
	return target + " " + strconv.Itoa(int(port[0])<<8|int(port[1])), err
}
