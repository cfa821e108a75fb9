package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdKeychain starts a desktop's keychain, or makes it one that is locked, or takes it away:
//
//	keychain [locked|none]
func cmdKeychain(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	ts.Setenv("XDG_RUNTIME_DIR", ts.MkAbs("nowhere"))
	switch what := strings.Join(args, " "); {
	case neg:
		ts.Fatalf("unsupported: ! keychain")
	case what == "none":
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	case what == "" || what == "locked":
		if w.keychain == nil {
			w.keychain = &keychain{items: make(map[dbus.ObjectPath]keychainItem)}
			l, err := net.Listen("unix", ts.MkAbs("bus"))
			ts.Check(err)
			ts.Defer(func() { l.Close() })
			go w.keychain.serve(l) // ends when l is closed
		}
		w.keychain.mu.Lock()
		defer w.keychain.mu.Unlock()
		w.keychain.locked = what == "locked"
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.ToSlash(ts.MkAbs("bus")))
	default:
		ts.Fatalf("usage: keychain [locked|none]")
	}
}

// A keychain is the Secret Service of a Linux desktop
// (https://specifications.freedesktop.org/secret-service/) at its own message bus: as much of both
// as a program needs that keeps a secret.
type keychain struct {
	mu     sync.Mutex
	locked bool
	items  map[dbus.ObjectPath]keychainItem
}

type keychainItem struct {
	attributes map[string]string
	secret     []byte
}

// A keychainSecret is a secret on its way.
type keychainSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

const (
	keychainCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	keychainSession    = dbus.ObjectPath("/org/freedesktop/secrets/session/1")
	keychainNoPrompt   = dbus.ObjectPath("/")
)

func (k *keychain) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go k.talk(conn) // ends when the client closes the connection
	}
}

func (k *keychain) talk(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if !authenticate(in, conn) {
		return
	}
	for serial := uint32(1); ; serial++ {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
		}}
		if reply.Body, err = k.answer(call); err != nil {
			reply.Type = dbus.TypeError
			reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.Failed")
			reply.Body = []any{err.Error()}
		}
		if len(reply.Body) > 0 {
			reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(reply.Body...))
		}
		var out bytes.Buffer
		if err := reply.EncodeTo(&out, binary.LittleEndian); err != nil {
			panic(err)
		}
		binary.LittleEndian.PutUint32(out.Bytes()[8:], serial) // which EncodeTo knows no way to set
		if _, err := conn.Write(out.Bytes()); err != nil {
			return
		}
	}
}

// authenticate lets everybody in, as the bus of a user lets the user in.
func authenticate(in *bufio.Reader, out io.Writer) bool {
	if _, err := in.ReadByte(); err != nil { // a zero
		return false
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		answer := "ERROR"
		switch words := strings.Fields(line); {
		case len(words) == 1 && words[0] == "AUTH":
			answer = "REJECTED EXTERNAL"
		case words[0] == "AUTH" || words[0] == "DATA":
			answer = "OK 0123456789abcdef0123456789abcdef"
		case words[0] == "BEGIN":
			return true
		}
		if _, err := io.WriteString(out, answer+"\r\n"); err != nil {
			return false
		}
	}
}

// answer returns what a method call returns.
func (k *keychain) answer(call *dbus.Message) ([]any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	path := call.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	switch member := call.Headers[dbus.FieldMember].Value().(string); member {
	case "Hello":
		return []any{":1.1"}, nil
	case "AddMatch", "RemoveMatch", "Close":
		return nil, nil
	case "Get": // the property Collections
		return []any{dbus.MakeVariant([]dbus.ObjectPath{keychainCollection})}, nil
	case "OpenSession":
		return []any{dbus.MakeVariant(""), keychainSession}, nil
	case "Unlock":
		if k.locked {
			return nil, fmt.Errorf("nobody unlocks the keychain")
		}
		return []any{call.Body[0], keychainNoPrompt}, nil
	case "SearchItems":
		found := []dbus.ObjectPath{}
		for path, item := range k.items {
			if maps.Equal(item.attributes, call.Body[0].(map[string]string)) {
				found = append(found, path)
			}
		}
		return []any{found}, nil
	case "CreateItem":
		properties := call.Body[0].(map[string]dbus.Variant)
		item := keychainItem{
			attributes: properties["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string),
			secret:     call.Body[1].([]any)[2].([]byte),
		}
		at := keychainCollection + dbus.ObjectPath(fmt.Sprintf("/%d", len(k.items)))
		k.items[at] = item
		return []any{at, keychainNoPrompt}, nil
	case "GetSecret":
		return []any{keychainSecret{keychainSession, []byte{}, k.items[path].secret, "text/plain"}}, nil
	default:
		return nil, fmt.Errorf("there is no method %s", member)
	}
}
