package bridge

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// A notModernError says that a server does not speak 2026-07-28, by its answer to server/discover.
type notModernError struct {
	supported []string // handshake revisions that it named
	cause     error
}

func (e *notModernError) Error() string {
	if len(e.supported) > 0 {
		return "the server speaks " + strings.Join(e.supported, ", ")
	}
	return fmt.Sprintf("the server does not know server/discover: %v", e.cause)
}

func (e *notModernError) Unwrap() error { return e.cause }

// best is the latest of the revisions that the server named and the bridge knows, "" if there is none.
func (e *notModernError) best() string {
	for _, version := range legacyVersions {
		if slices.Contains(e.supported, version) {
			return version
		}
	}
	return ""
}

// A laterEraError says that a server knows no handshake, by its answer to initialize.
type laterEraError struct{ text string }

func (e *laterEraError) Error() string { return "the server refused initialize: " + e.text }

// A mismatchError means that the server found headers and message to disagree, twice.
type mismatchError struct{ url, text string }

func (e *mismatchError) Error() string {
	return fmt.Sprintf("%s says that headers and message disagree (%s); a proxy in between may have changed them", e.url, e.text)
}

// judge reads the answer to server/discover, or why there is none (spec 3B, step M). It returns nil if
// the server speaks a modern revision that the bridge knows, a notModernError if it is of the handshake
// era, and any other error if nothing can be said.
func judge(answer *message, err error) error {
	switch {
	case answer == nil:
		if _, ok := errors.AsType[*mismatchError](err); ok { // spec 8.04
			return &notModernError{cause: err}
		}
		if status := statusOf(err); status != nil && (status.Code/100 == 2 || maybeLegacy(status)) {
			return &notModernError{cause: err}
		}
		return err
	case answer.failed:
		failure := readObject(answer.err)
		refusal := errors.New(clip(failure.text("message"), longestExcerpt))
		if errorCode(answer) != mcp.UNSUPPORTED_PROTOCOL_VERSION {
			return &notModernError{cause: refusal}
		}
		supported := texts(failure.child("data").get("supported"))
		if err := judgeVersions(supported, refusal); err != nil {
			return err
		}
		return unsupported("", supported) // it refuses what it says it speaks
	}
	return judgeVersions(texts(readObject(answer.result).get("supportedVersions")), errors.New("its answer names no revision"))
}

// isModernRefusal tells whether a refusal of server/discover is that of a server of a modern revision
// that the bridge knows, which may be worth a second try (spec 3B, step M; 8.04).
func isModernRefusal(m *message) bool {
	switch errorCode(m) {
	case mcp.MISSING_REQUIRED_CLIENT_CAPABILITY:
		return true
	case mcp.UNSUPPORTED_PROTOCOL_VERSION:
		supported := texts(readObject(m.err).child("data").get("supported"))
		return slices.ContainsFunc(supported, func(version string) bool { return slices.Contains(modernVersions, version) })
	}
	return false
}

// judgeVersions does so by the revisions that a server says it speaks.
func judgeVersions(supported []string, cause error) error {
	var legacy []string
	unknown := false
	for _, version := range supported {
		switch {
		case slices.Contains(modernVersions, version):
			return nil
		case version <= legacyVersions[0]:
			legacy = append(legacy, version)
		default:
			unknown = true
		}
	}
	if len(legacy) == 0 && unknown {
		return unsupported("", supported)
	}
	return &notModernError{supported: legacy, cause: cause}
}

// unsupported is the error for a server none of whose revisions the bridge knows (spec 6.72).
func unsupported(requested string, supported []string) error {
	return &rpcError{mcp.INVALID_PARAMS, fmt.Sprintf("Unsupported protocol version: the server speaks %s, mcp-bridge %s",
		strings.Join(supported, ", "), strings.Join(spoken(), ", ")), answerData{Supported: supported, Requested: requested}}
}

// spoken are the revisions that the bridge speaks with hosts (spec 5.23).
func spoken() []string { return slices.Concat(modernVersions, legacyVersions) }

// maybeLegacy tells whether an HTTP status may be that of a server which does not know a request of a
// later revision. What is about authorization or passes says nothing of that (spec 3.23, 3.24).
func maybeLegacy(status *StatusError) bool {
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return status.Code/100 == 4
}

// texts returns the strings of a JSON array.
func texts(raw []byte) []string {
	var list []string
	for _, element := range elements(raw) {
		if element[0] == '"' {
			list = append(list, string(plain(element)))
		}
	}
	return list
}

// sayVersions makes an error that names a protocol revision into what a host of 2026-07-28 understands:
// what it may use is what the bridge speaks (spec 5H).
func sayVersions(m *message) {
	if errorCode(m) != mcp.UNSUPPORTED_PROTOCOL_VERSION {
		return
	}
	failure := readObject(m.err)
	data := failure.child("data")
	if data == nil {
		data = object{}
	}
	data = data.with("supported", encodeTexts(spoken()))
	*m = *built(readObject(m.raw).with("error", failure.with("data", data.raw()).raw()).raw())
}

func encodeTexts(list []string) []byte {
	quoted := make([][]byte, len(list))
	for i, text := range list {
		quoted[i] = quote(text)
	}
	return array(quoted)
}
