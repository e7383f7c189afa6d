package coalesce

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
)

// Key is a digest of all that requests must agree on to share an ask or an answer.
type Key [sha256.Size]byte

// Rule says on what requests must agree to share. The zero value is the safe rule: they
// must agree on everything that a backend or a route can distinguish them by.
type Rule struct {
	values  []value
	public  bool
	ignored []string // names of query parameters
}

// RuleOf returns the rule that the values, which hold placeholders, or public state.
// Then less matters: method, host, URL, body, the values, and the fields that select
// a form of the answer. Without either it is the zero Rule.
func RuleOf(values []string, public bool) Rule {
	rule := Rule{public: public}
	for _, text := range values {
		rule.values = append(rule.values, valueOf(text))
	}
	return rule
}

// Everything reports whether requests must agree on everything.
func (rule *Rule) Everything() bool { return !rule.public && len(rule.values) == 0 }

// Public reports whether answers are shared between all clients.
func (rule *Rule) Public() bool { return rule.public }

// Request is what a key is made of.
type Request struct {
	// HTTP is the request as it is sent to the backend next, Kept its fields and the
	// variables that the route has set.
	HTTP *http.Request
	Kept *ask.Request

	Channels []string

	// Position is true if Last-Event-ID is one of parker's own positions, which mean
	// nothing to the backend.
	Position bool

	// Unconditional is true if it does not matter what the client's cache has.
	Unconditional bool

	// Body is the body that counts. A nil Body means that there is none.
	Body []byte

	// WholeBody is the body with parts that do not count.
	WholeBody []byte

	// Alone is true if other requests may go through another route, for a reason that the
	// rest does not show. By the safe rule the request is then like no other.
	Alone bool

	// Varies names the fields by which answers varied that did not match the request.
	Varies []string

	// Whole is true if an answer was for other values of the ignored parameters, or of the
	// parts of the body that do not count. Then they count.
	Whole bool
}

// Key returns the key of a request. Each part of the digested data is preceded by its
// length, so that a client cannot write one part into another. Of the request's secrets
// only the digest is remembered.
func (rule *Rule) Key(q Request) Key {
	buffer := buffers.Get().(*[]byte)
	b := rule.append((*buffer)[:0], q)
	key := sha256.Sum256(b)
	clear(b)
	if cap(b) <= maxBuffer {
		*buffer = b
		buffers.Put(buffer)
	}
	return key
}

// buffers hold the data that is digested. They are cleared after use. Large ones are not
// kept.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const maxBuffer = 16 << 10

func (rule *Rule) append(b []byte, q Request) []byte {
	whole := TargetOf(q.HTTP)
	target := rule.withoutIgnored(whole)
	b = appendTarget(b, q, target)
	if rule.Everything() {
		b = appendConnection(b, q.HTTP, target)
		b = appendFields(b, q)
		b = appendVariables(b, q)
		if q.Alone {
			b = appendUnique(b)
		}
	} else {
		b = appendSelecting(b, q)
		for _, value := range rule.values {
			b = value.append(b, q)
		}
	}
	b = strconv.AppendBool(b, q.Whole)
	if q.Whole {
		b = appendField(b, []string{whole.Original, whole.RequestURI, whole.RawQuery, string(q.WholeBody)})
	}
	for _, name := range q.Varies {
		b = appendPart(b, name)
		b = appendField(b, q.Kept.Field(name))
	}
	return b
}

// appendTarget adds what is asked for, which always counts.
func appendTarget(b []byte, q Request, target Target) []byte {
	r := q.HTTP
	b = appendPart(b, r.Method)
	b = appendPart(b, r.Host)
	b = appendPart(b, target.RequestURI)
	b = appendPart(b, r.URL.Path)
	b = appendPart(b, r.URL.RawPath)
	b = appendPart(b, target.RawQuery)
	b = strconv.AppendBool(b, r.TLS != nil)
	// FastCGI has the path as it was before rewrites.
	original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	b = appendPart(b, original.Method) // it says whether a 304 can be the answer
	b = appendPart(b, original.URL.Path)
	b = appendField(b, removedFields(q.Kept.Field("Connection")))
	b = appendField(b, q.Channels)
	b = strconv.AppendBool(b, q.Body != nil)
	if q.Body != nil {
		digest := sha256.Sum256(q.Body)
		b = append(b, digest[:]...)
	}
	return b
}

// appendConnection adds how the request has arrived, before any rewrite, because routes and
// backends can use that. The client's port is left out, because a client has many
// connections.
func appendConnection(b []byte, r *http.Request, target Target) []byte {
	b = appendPart(b, target.Original)
	b = appendPart(b, r.Proto)
	b = appendPart(b, hostOf(r.RemoteAddr))
	b = appendAddress(b, r.Context().Value(http.LocalAddrContextKey))
	if r.TLS == nil {
		return b
	}
	b = appendPart(b, r.TLS.ServerName)
	b = appendPart(b, r.TLS.NegotiatedProtocol)
	b = binary.AppendUvarint(b, uint64(r.TLS.Version))
	b = binary.AppendUvarint(b, uint64(r.TLS.CipherSuite))
	b = strconv.AppendBool(b, r.TLS.HandshakeComplete)
	b = binary.AppendUvarint(b, uint64(len(r.TLS.PeerCertificates)))
	for _, certificate := range r.TLS.PeerCertificates {
		digest := sha256.Sum256(certificate.Raw)
		b = append(b, digest[:]...)
	}
	return b
}

// hostOf returns the host of an address as net/http has it. The address of a Unix socket is
// returned unchanged.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// appendAddress adds a [net.Addr]. The types that servers use are not formatted, because
// that would cost more than the rest of the connection.
func appendAddress(b []byte, address any) []byte {
	switch a := address.(type) {
	case *net.TCPAddr:
		return binary.AppendUvarint(appendPart(b, string(a.IP)), uint64(a.Port))
	case *net.UDPAddr:
		return binary.AppendUvarint(appendPart(b, string(a.IP)), uint64(a.Port))
	case net.Addr:
		return appendPart(b, a.String())
	}
	return b
}

// value is one of the values of the option share.
type value struct {
	field string // of the request; empty: text with placeholders
	text  string
}

func valueOf(text string) value {
	// A field is read directly: a replacer takes ten times as long.
	if name, ok := strings.CutPrefix(text, "{http.request.header."); ok && strings.IndexByte(name, '}') == len(name)-1 {
		return value{field: http.CanonicalHeaderKey(name[:len(name)-1])}
	}
	return value{text: text}
}

func (v value) append(b []byte, q Request) []byte {
	if v.field != "" {
		return appendField(b, q.Kept.Field(v.field))
	}
	replacer := q.HTTP.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return appendPart(b, replacer.ReplaceAll(v.text, ""))
}

// removedFields returns the names of the fields that a proxy removes from a request because
// Connection names them (RFC 9110, section 7.6.1). The backend answers as if they had not
// been sent.
func removedFields(connection []string) []string {
	var names []string
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && name != "Keep-Alive" && name != "Close" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func appendPart(b []byte, part string) []byte {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}

func appendField(b []byte, lines []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(lines)))
	for _, line := range lines {
		b = appendPart(b, line)
	}
	return b
}
