package bridge

import (
	"context"
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
		switch errorCode(answer) {
		case mcp.MISSING_REQUIRED_CLIENT_CAPABILITY:
			return &againError{&notModernError{cause: refusal}} // spec 8.04
		case mcp.UNSUPPORTED_PROTOCOL_VERSION:
			supported := texts(failure.child("data").get("supported"))
			if err := judgeVersions(supported, refusal); err != nil {
				return err
			}
			return &againError{&unsupportedError{supported}} // it refuses what it says it speaks
		}
		return &notModernError{cause: refusal}
	}
	return judgeVersions(texts(readObject(answer.result).get("supportedVersions")), errors.New("its answer names no revision"))
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
		return &unsupportedError{supported}
	}
	return &notModernError{supported: legacy, cause: cause}
}

// An againError means that server/discover is to be asked again, once: then is what its answer means the
// second time.
type againError struct{ then error }

func (e *againError) Error() string { return e.then.Error() }

// An unsupportedError means that the bridge knows none of the revisions that a server speaks.
type unsupportedError struct{ supported []string }

func (e *unsupportedError) Error() string {
	return fmt.Sprintf("Unsupported protocol version: the server speaks %s, mcp-bridge %s", strings.Join(e.supported, ", "), strings.Join(spoken(), ", "))
}

// unsupported makes an unsupportedError the answer that a host understands (spec 6.72); any other error
// stays as it is.
func unsupported(err error, code int, requested string) error {
	if e, ok := errors.AsType[*unsupportedError](err); ok {
		return &rpcError{code, e.Error(), answerData{Supported: e.supported, Requested: requested}}
	}
	return err
}

// probe asks a server for what it is, and judges that. The error is one of judge's.
func (s *modern) probe(ctx context.Context, params object, sent sentFunc) (*message, error) {
	for again := false; ; again = true {
		answer, err := s.r.askServer(ctx, s.r.newRequest(string(mcp.MethodServerDiscover), params), ask{request: s.ask, sent: sent})
		err = judge(answer, err)
		retry, ok := errors.AsType[*againError](err)
		switch {
		case !ok:
			return answer, err
		case again:
			return nil, retry.then
		}
	}
}

// spoken are the revisions that the bridge speaks with hosts (spec 5.23).
func spoken() []string { return slices.Concat(modernVersions, legacyVersions) }

// ProtocolVersions returns the protocol revisions that the bridge speaks, the latest first.
func ProtocolVersions() []string { return spoken() }

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
