package poll

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/share"
)

// negotiated are request fields that change an answer, or whether there is one,
// also where a backend does not name them in Vary: conditions and ranges by
// definition, the others because old backends forget to. By the last of them some
// frameworks let a client replace the method or the URL.
var negotiated = [...]string{
	"Accept", "Accept-Encoding", "Origin", "Range",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since",
	"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-Url", "X-Rewrite-Url",
	"X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
}

// negotiatedAt is where in negotiated a field is.
var negotiatedAt = func() map[string]int {
	at := make(map[string]int, len(negotiated))
	for i, name := range negotiated {
		at[name] = i
	}
	return at
}()

// key digests all that requests must agree on to share an answer: the request as
// it is sent to the backend next, and the fields by which an answer varied. Each
// part comes with its length, so that no two requests can be mixed up by what a
// client writes into one part. A digest keeps no secret of the request in memory.
func (p *Poll) key() share.Key {
	var space [512]byte
	b := space[:0]
	b = appendPart(b, p.r.Method)
	b = appendPart(b, p.r.Host)
	b = appendPart(b, p.r.RequestURI)
	b = appendPart(b, p.r.URL.Path)
	b = appendPart(b, p.r.URL.RawQuery)
	b = strconv.AppendBool(b, p.r.TLS != nil)
	if p.r.TLS != nil && len(p.r.TLS.PeerCertificates) > 0 {
		digest := sha256.Sum256(p.r.TLS.PeerCertificates[0].Raw)
		b = append(b, digest[:]...)
	}
	var fields [len(negotiated)][]string
	for name, lines := range p.request.Fields {
		if at, ok := negotiatedAt[name]; ok {
			fields[at] = lines
		}
	}
	for _, lines := range fields[:] {
		b = appendField(b, lines)
	}
	b = appendField(b, takenOut(p.request.Field("Connection")))
	b = binary.AppendUvarint(b, uint64(len(p.channels)))
	for _, channel := range p.channels {
		b = appendPart(b, channel)
	}
	for _, agreement := range p.line.Share {
		b = agreement.append(b, p)
	}
	if body := p.request.Body(); body != nil {
		digest := sha256.Sum256(body)
		b = append(b, digest[:]...)
	}
	for _, name := range p.varies {
		b = appendPart(b, name)
		b = appendField(b, p.request.Field(name))
	}
	return sha256.Sum256(b)
}

// Agreement is something on which requests must agree to share an answer.
type Agreement struct {
	field       string // of the request; empty: it is told by placeholders
	placeholder string
}

// Agreements are those that values with placeholders name.
func Agreements(values []string) []Agreement {
	var all []Agreement
	for _, value := range values {
		agreement := Agreement{placeholder: value}
		// A field is looked up as it is: a replacer takes ten times as long, and this
		// is what is done for each request.
		if name, ok := strings.CutPrefix(value, "{http.request.header."); ok && strings.IndexByte(name, '}') == len(name)-1 {
			agreement.field = http.CanonicalHeaderKey(name[:len(name)-1])
		}
		all = append(all, agreement)
	}
	return all
}

func (a *Agreement) append(b []byte, p *Poll) []byte {
	if a.field != "" {
		return appendField(b, p.request.Field(a.field))
	}
	replacer := p.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return appendPart(b, replacer.ReplaceAll(a.placeholder, ""))
}

// takenOut is the fields that a proxy takes out of a request as Connection names
// them (RFC 9110, section 7.6.1): the backend answers as if they had not been sent.
func takenOut(connection []string) []string {
	var names []string
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && name != "Keep-Alive" && name != "Close" {
				names = append(names, name)
			}
		}
	}
	return names
}

// regroup makes the poll a member of the group that fits its request now, given
// the fields by which an answer varied that did not suit it. Those of earlier
// answers count on: a backend that names now one field and now another would send
// the poll to and fro for ever.
func (p *Poll) regroup(varies http.Header) {
	for name := range varies {
		if at, found := slices.BinarySearch(p.varies, name); !found {
			p.varies = slices.Insert(p.varies, at, name)
		}
	}
	p.request.Restore()
	old := p.group
	p.group = p.line.Groups.Enter(p.key(), p.channels)
	old.Exit()
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
