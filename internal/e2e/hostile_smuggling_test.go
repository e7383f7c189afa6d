package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// smugglingSite has the same route without parker, with it, and with matchers that read the
// body before.
var smugglingSite = withHook(`
	handle /bare/* {
		reverse_proxy {$BACKEND}
	}
	handle /held/* {
		parker {
			methods GET POST
			max_body 1KB
		}
		reverse_proxy {$BACKEND}
	}
	handle /matched/* {
		@short parker_body {
			match .
			max_body 1KB
		}
		header @short X-Matched yes
		@all not parker_body json /missing
		parker @all {
			methods GET POST
			max_body 1KB
		}
		reverse_proxy {$BACKEND}
	}
`)

// within is a request inside a body, which must never be read as a separate request.
const within = "GET /within HTTP/1.1\r\nHost: a\r\n\r\n"

// shape is what a poll sends after its request line and Host field.
type shape struct {
	name, rest string
	unfinished bool // the client closes its half of the connection early
	long       bool // the body is too long to be kept
}

func shapes() []shape {
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	const chunked = "Transfer-Encoding: chunked\r\n"
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(within), within)
	return []shape{
		{name: "a body that looks like a request", rest: length(len(within)) + "\r\n" + within},
		{name: "the same in chunks", rest: chunked + "\r\n" + chunks},
		{name: "both lengths, the body in chunks", rest: length(len(chunks)) + chunked + "\r\n" + chunks},
		{name: "both lengths, chunks that end early", rest: chunked + length(5+len(within)) + "\r\n0\r\n\r\n" + within},
		{name: "both lengths, the body longer than its length", rest: length(4) + chunked + "\r\n" + chunks},
		{name: "two lengths that differ", rest: length(0) + length(len(within)) + "\r\n" + within},
		{name: "two lengths that are the same", rest: length(len(within)) + length(len(within)) + "\r\n" + within},
		{name: "a list of lengths", rest: fmt.Sprintf("Content-Length: %d, 0\r\n\r\n", len(within)) + within},
		{name: "a length with a sign", rest: fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(within)) + within},
		{name: "a negative length", rest: "Content-Length: -1\r\n\r\n" + within},
		{name: "a length in hexadecimal", rest: "Content-Length: 0x20\r\n\r\n" + within},
		{name: "a length with a space in it", rest: "Content-Length: 3 3\r\n\r\n" + within},
		{name: "a space before the colon", rest: fmt.Sprintf("Content-Length : %d\r\n\r\n", len(within)) + within},
		{name: "a space before the colon of the coding", rest: length(0) + "Transfer-Encoding : chunked\r\n\r\n" + chunks},
		{name: "a folded coding", rest: length(len(chunks)) + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunks},
		{name: "a tab before the coding", rest: "Transfer-Encoding:\tchunked\r\n\r\n" + chunks},
		{name: "a coding that is none", rest: length(len(chunks)) + "Transfer-Encoding: xchunked\r\n\r\n" + chunks},
		{name: "two codings", rest: "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks},
		{name: "two fields of codings", rest: chunked + "Transfer-Encoding: identity\r\n\r\n" + chunks},
		{name: "chunked twice", rest: chunked + chunked + "\r\n" + chunks},
		{name: "another case", rest: "transfer-ENCODING: cHuNkEd\r\n\r\n" + chunks},
		{name: "a vertical tab", rest: length(len(chunks)) + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks},
		{name: "a bare CR", rest: length(len(chunks)) + "X: a\rTransfer-Encoding: chunked\r\n\r\n" + chunks},
		{name: "a bare LF", rest: length(len(chunks)) + "X: a\nTransfer-Encoding: chunked\r\n\r\n" + chunks},
		{name: "an underscore", rest: length(len(chunks)) + "Transfer_Encoding: chunked\r\n\r\n" + chunks},
		{name: "the length is hop by hop", rest: "Connection: Content-Length\r\n" + length(len(within)) + "\r\n" + within},
		{name: "a chunk's size with a sign", rest: chunked + "\r\n+5\r\nhello\r\n0\r\n\r\n"},
		{name: "a chunk's size that overflows", rest: chunked + "\r\nFFFFFFFFFFFFFFFF1\r\nhello\r\n0\r\n\r\n"},
		{name: "a chunk's size with zeros before it", rest: chunked + "\r\n" + strings.Repeat("0", 40) + "5\r\nhello\r\n0\r\n\r\n"},
		{name: "a chunk's size without digits", rest: chunked + "\r\n\r\n" + within},
		{name: "a chunk longer than its size", rest: chunked + "\r\n3\r\nhello\r\n0\r\n\r\n" + within},
		{name: "a chunk shorter than its size", rest: chunked + "\r\n7\r\nhello\r\n0\r\n\r\n" + within},
		{name: "a chunk's extension", rest: chunked + "\r\n5;a=\"0\"\r\nhello\r\n0\r\n\r\n"},
		{name: "a chunk's extension with a bare LF", rest: chunked + "\r\n5;\nhello\r\n0\r\n\r\n"},
		{name: "chunks that end with bare LFs", rest: chunked + "\r\n5\nhello\n0\n\n" + within},
		{name: "chunks that end with bare CRs", rest: chunked + "\r\n5\rhello\r0\r\r" + within},
		{name: "a trailer", rest: chunked + "Trailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{name: "a body shorter than its length", rest: length(1000) + "\r\n" + within, unfinished: true},
		{name: "chunks without an end", rest: chunked + "\r\n5\r\nhello\r\n", unfinished: true},
		{name: "an expectation", rest: "Expect: 100-continue\r\n" + length(len(within)) + "\r\n" + within},
		{name: "a request behind it", rest: length(5) + "\r\nhelloGET /%s/behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
		{name: "too long a body", rest: length(2000) + "\r\n" + strings.Repeat(within, 100)[:2000], long: true},
		{name: "too long a body in chunks", rest: chunked + "\r\n7d0\r\n" + strings.Repeat(within, 100)[:2000] + "\r\n0\r\n\r\n", long: true},
	}
}

// behind is the last request on a connection. Caddy answers it itself, as it would
// /within.
const behind = "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

// send sends a poll of the shape and all that follows it on the connection.
func (s shape) send(t *testing.T, caddy *caddytest.Caddy, folder string) *caddytest.Raw {
	client := caddytest.DialRaw(t, caddy.Site)
	client.Send("POST /" + folder + "/poll HTTP/1.1\r\nHost: " + caddy.Site + "\r\n" + strings.ReplaceAll(s.rest, "%s", folder))
	if s.unfinished {
		client.CloseWrite()
	} else {
		client.Send(behind)
	}
	return client
}

// statuses returns the statuses of the answers on a connection.
func statuses(answers string) (statuses []string) {
	for line := range strings.SplitSeq(answers, "\r\n") {
		if _, after, ok := strings.Cut(line, "HTTP/1.1 "); ok && len(after) >= 3 {
			statuses = append(statuses, after[:3])
		}
	}
	return statuses
}

// completeRequests returns the complete requests that the backend received: the line, the length
// and the body of each.
func (s shape) completeRequests(t *testing.T, backend *caddytest.RawBackend, folder string) (seen []string) {
	t.Helper()
	for _, r := range backend.Seen() {
		if strings.Contains(r.Line(), "within") {
			t.Errorf("%s: the backend was asked %s", s.name, r.Line())
		}
		if r.Err == nil {
			line := strings.Replace(r.Line(), folder, "folder", 1)
			seen = append(seen, fmt.Sprintf("%s, length %q, coding %q, body %q, trailer %q",
				line, r.Lines("Content-Length"), r.Lines("Transfer-Encoding"), r.Body, r.Trailer))
		}
	}
	return seen
}

const (
	rawNews       = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"
	rawNothingNew = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
)

// If two servers read a request differently, an unchecked request can be smuggled in.
// So the first ask and the replay of a poll must be the request that is sent without
// parker.
func TestReplaySendsBodyUnchangedAndNeverSmuggles(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewRawBackend(t, rawNews)
	caddy := caddytest.Start(t, smugglingSite, backend.Address)
	for _, folder := range []string{"held", "matched"} {
		held := 0
		for _, s := range shapes() {
			if s.sameWithParker(t, caddy, backend, folder) {
				held++
			}
		}
		if held < 10 {
			t.Errorf("%s: %d polls were held", folder, held)
		}
	}
}

// sameWithParker checks that a request of the shape to the folder reaches the backend as
// without parker, when it is passed on and when it is held. It reports whether it was held.
func (s shape) sameWithParker(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.RawBackend, folder string) (held bool) {
	t.Helper()
	backend.Say(rawNews)
	bare := s.send(t, caddy, "bare").Rest(t)
	want := s.completeRequests(t, backend, "bare")
	answered := s.send(t, caddy, folder).Rest(t)
	if got := s.completeRequests(t, backend, folder); !slices.Equal(got, want) {
		t.Errorf("%s, %s: the backend was asked %q, without parker %q", folder, s.name, got, want)
	}
	if got, want := statuses(answered), statuses(bare); !s.unfinished && !slices.Equal(got, want) {
		t.Errorf("%s, %s: the client was answered %s, without parker %s", folder, s.name, got, want)
	}
	if len(want) == 0 || s.long {
		return false
	}
	backend.Say(rawNothingNew)
	client := s.send(t, caddy, folder)
	caddy.AwaitWaiting(t, folder+"/poll", 1)
	first := s.completeRequests(t, backend, folder)
	backend.Say(rawNews)
	caddy.Publish(t, folder+"/poll", "", "")
	answered = client.Rest(t)
	if got := s.completeRequests(t, backend, folder); !slices.Equal(first, want[:1]) || !slices.Equal(got, want) {
		t.Errorf("%s, %s: the backend was asked %q and then %q, without parker %q", folder, s.name, first, got, want)
	}
	if got, want := statuses(answered), statuses(bare); !slices.Equal(got, want) || !strings.Contains(answered, "release=replay") {
		t.Errorf("%s, %s: the client was answered %s, without parker %s", folder, s.name, answered, want)
	}
	return true
}
