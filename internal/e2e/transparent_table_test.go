package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// respondWith returns a handler that answers with a status and a body, which may be empty.
func respondWith(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// chunks writes each text and flushes it.
func chunks(w http.ResponseWriter, texts ...string) {
	for _, text := range texts {
		io.WriteString(w, text)
		w.(http.Flusher).Flush()
	}
}

// document serves a file for conditional and range requests.
func document(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"v1"`)
	http.ServeContent(w, r, "document.txt", time.Unix(1_700_000_000, 0), strings.NewReader(strings.Repeat("0123456789", 100)))
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

// breakOff closes the connection to the proxy in the middle of an answer.
func breakOff(w http.ResponseWriter) {
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

const large = 50_000_000

func writeLarge(w io.Writer) {
	block := bytes.Repeat([]byte("0123456789abcdef"), 6250)
	for range large / len(block) {
		w.Write(block)
	}
}

// newsTrials are answers with news, and others that must not be held.
func newsTrials() []trial {
	trials := []trial{
		{name: "large, of known length", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(large))
			writeLarge(w)
		}},
		{name: "large, of unknown length", serve: func(w http.ResponseWriter, r *http.Request) { writeLarge(w) }},
		{name: "small", serve: respondWith(200, "[1]", "Content-Type: application/json")},
		{name: "small, in chunks", serve: func(w http.ResponseWriter, r *http.Request) { chunks(w, "[", "1", "]") }},
		{name: "starts like nothing new", serve: func(w http.ResponseWriter, r *http.Request) { chunks(w, " ", "[", "]", ",") }},
		{name: "fields", serve: respondWith(203, "x", "Set-Cookie: a=1", "Set-Cookie: b=2; Path=/", "X-Twice: 1", "X-Twice: 2",
			"Server: legacy", "Via: 1.0 older", "Content-Location: /x", "Retry-After: 3", "Vary: *", "Link: </a>; rel=next", "Cache-Control: no-cache")},
		{name: "big header", header: http.Header{"X-Big": {strings.Repeat("y", 10_000)}}, serve: respondWith(200, "x", "X-Big: "+strings.Repeat("z", 10_000))},
		{name: "gzip", header: http.Header{"Accept-Encoding": {"gzip"}}, serve: respondWith(200, gzipped(`{"a":1}`), "Content-Encoding: gzip", "Content-Type: application/json")},
		{name: "trailers announced", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum, X-Other")
			chunks(w, "one", "two")
			w.Header().Set("X-Sum", "6")
			w.Header().Set("X-Other", "y")
		}},
		{name: "trailers not announced", serve: func(w http.ResponseWriter, r *http.Request) {
			chunks(w, "one", "two")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "6")
		}},
		{name: "early hints", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Add("Link", "</script.js>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("X-Final", "yes")
			io.WriteString(w, "x")
		}},
		{name: "range", header: http.Header{"Range": {"bytes=2-5"}}, serve: document},
		{name: "ranges", header: http.Header{"Range": {"bytes=0-0,-1"}}, serve: respondWith(206, "--x\r\n\r\n0\r\n--x--", "Content-Type: multipart/byteranges; boundary=x")},
		{name: "empty range", header: http.Header{"Range": {"bytes=0-"}}, serve: respondWith(206, "", "Content-Range: bytes */0")},
		{name: "range that cannot be", header: http.Header{"Range": {"bytes=5000-"}}, serve: document},
		{name: "head", method: http.MethodHead, serve: document},
		{name: "head of nothing", method: http.MethodHead, serve: respondWith(204, "")},
		{name: "head of an empty list", method: http.MethodHead, serve: respondWith(200, "[]")},
		{name: "options", method: http.MethodOptions, serve: respondWith(204, "", "Allow: GET, POST")},
		{name: "condition not met", header: http.Header{"If-None-Match": {`"v0"`}}, serve: document},
		{name: "date condition not met", header: http.Header{"If-Modified-Since": {"Mon, 01 Jan 2001 00:00:00 GMT"}}, serve: document},
		{name: "precondition failed", header: http.Header{"If-Match": {`"v0"`}}, serve: document},
		{name: "redirect with a body", serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) }},
		{name: "breaks off, of known length", breaksOff: true, serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "hello")
			breakOff(w)
		}},
		{name: "breaks off, of unknown length", breaksOff: true, serve: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello")
			breakOff(w)
		}},
		{name: "like nothing new, breaks off, of known length", breaksOff: true, serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "[")
			breakOff(w)
		}},
		{name: "like nothing new, breaks off, of unknown length", breaksOff: true, serve: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "[]")
			breakOff(w)
		}},
		{name: "breaks off with nothing of its body", breaksOff: true, serve: func(w http.ResponseWriter, r *http.Request) { breakOff(w) }},
	}
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		trials = append(trials, trial{name: fmt.Sprintf("empty %d", status), serve: respondWith(status, "", "Location: /else")})
	}
	for _, status := range []int{400, 401, 403, 404, 410, 429, 500, 502, 503, 504} {
		trials = append(trials,
			trial{name: fmt.Sprintf("empty %d", status), serve: respondWith(status, "")},
			trial{name: fmt.Sprintf("%d with an empty list", status), serve: respondWith(status, "[]")})
	}
	for _, first := range []string{"data: hello\n\n", "[", "{"} {
		trials = append(trials, slowTrial(first, ""))
	}
	return append(trials, slowTrial(":", "text/event-stream"))
}

// slowTrial is an answer whose first part must reach the client before the backend
// continues.
func slowTrial(first, contentType string) trial {
	proceed := make(chan struct{})
	return trial{name: fmt.Sprintf("slow to end, %q %s", first, contentType), proceed: proceed, serve: func(w http.ResponseWriter, r *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		chunks(w, first)
		select {
		case <-proceed:
		case <-r.Context().Done():
		}
		chunks(w, "]")
	}}
}

// nothingNewTrials are answers that parker would hold.
func nothingNewTrials() []trial {
	trials := []trial{
		{name: "no content", serve: respondWith(204, "", "X-Legacy: yes")},
		{name: "not modified", header: http.Header{"If-None-Match": {`"v1"`}}, serve: document},
		{name: "not modified since", header: http.Header{"If-Modified-Since": {"Tue, 14 Nov 2023 22:13:20 GMT"}}, serve: document},
		{name: "empty", serve: respondWith(200, "")},
		{name: "empty, created", serve: respondWith(201, "", "Location: /else")},
		{name: "empty list", serve: respondWith(200, "[]", "Content-Type: application/json", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "Vary: Cookie")},
		{name: "empty list in chunks", serve: func(w http.ResponseWriter, r *http.Request) { chunks(w, " \r\n[", "] ") }},
		{name: "gzip", header: http.Header{"Accept-Encoding": {"gzip"}}, serve: respondWith(200, gzipped("[]"), "Content-Encoding: gzip")},
		{name: "early hints", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			io.WriteString(w, "[]")
		}},
		{name: "trailers announced", serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			chunks(w, "[]")
			w.Header().Set("X-Sum", "0")
		}},
		{name: "trailers not announced", serve: func(w http.ResponseWriter, r *http.Request) {
			chunks(w, "[]")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "0")
		}},
	}
	for i := range trials {
		trials[i].prefersNoWait = true
	}
	return trials
}

// ofUnknownLength hides the length of the text from net/http.
func ofUnknownLength(text string) func() io.Reader {
	return func() io.Reader { return io.MultiReader(strings.NewReader(text)) }
}

func ofKnownLength(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}

// echo answers with the request's body.
func echo(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Write(append([]byte("got "), text...))
}

// uploadTrials are requests with bodies.
func uploadTrials() []trial {
	long := strings.Repeat("0123456789", 100_000)
	expect := http.Header{"Expect": {"100-continue"}}
	var trials []trial
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet} {
		trials = append(trials,
			trial{name: method, method: method, body: ofKnownLength("hello"), serve: echo},
			trial{name: method + " in chunks", method: method, body: ofUnknownLength("hello"), serve: echo},
			trial{name: method + " long", method: method, body: ofKnownLength(long), serve: echo},
			trial{name: method + " long in chunks", method: method, body: ofUnknownLength(long), serve: echo},
			trial{name: method + " expecting", method: method, header: expect, body: ofKnownLength("hello"), serve: echo},
			trial{name: method + " expecting, long", method: method, header: expect, body: ofUnknownLength(long), serve: echo},
			trial{name: method + " with a trailer", method: method, trailer: http.Header{"X-Sum": {"5"}}, body: ofUnknownLength("hello"), serve: echo},
		)
	}
	return append(trials,
		trial{name: "POST of nothing", method: http.MethodPost, serve: echo},
		trial{name: "POST, refused", method: http.MethodPost, header: expect, body: ofKnownLength("hello"), serve: respondWith(413, "too long")},
	)
}

// writeTrials are answers that would be nothing new to a poll.
func writeTrials() []trial {
	var trials []trial
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		trials = append(trials,
			trial{name: method + ", no content", method: method, body: ofKnownLength("x"), serve: respondWith(204, "")},
			trial{name: method + ", an empty list", method: method, body: ofKnownLength("x"), serve: respondWith(200, "[]")},
			trial{name: method + ", nothing", method: method, body: ofKnownLength("x"), serve: respondWith(200, "")},
			trial{name: method + ", created", method: method, body: ofKnownLength("x"), serve: respondWith(201, "", "Location: /x")},
		)
	}
	return trials
}
