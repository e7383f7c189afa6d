package e2e

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

const eventStream = "text/event-stream"

// kind is a kind of streamed answer.
type kind struct {
	name, method, accept string

	// mediaType is the type of the backend's answer. If it is empty, the backend has
	// nothing new and the stream is parker's own.
	mediaType string
}

var kinds = []kind{
	{"parker's stream", http.MethodGet, eventStream, ""},
	{"backend's stream", http.MethodGet, eventStream, eventStream},
	{"backend's stream, polled", http.MethodGet, "*/*", eventStream},
	{"backend's stream, posted for", http.MethodPost, "*/*", eventStream},
	{"chunks, polled", http.MethodGet, "*/*", "application/json"},
	{"chunks, posted for", http.MethodPost, "*/*", "application/json"},
}

// isStream reports whether the client gets an event stream.
func (k kind) isStream() bool { return k.mediaType == "" || k.mediaType == eventStream }

// stage is a Caddy with its backend and a client, between which passages run.
type stage struct {
	caddy   *caddytest.Caddy
	backend *caddytest.Scripted
	client  *caddytest.Client
	folder  string // of the paths, with a slash at the end, or empty
}

// passage is a streamed answer.
type passage struct {
	kind
	stage
	channel  string
	ask      *caddytest.Ask // nil once answered: the stream is parker's own
	answered <-chan opened
	answer   *http.Response
	leave    func()
	got      caddytest.Log // what the client has received, decoded
	ended    chan error
}

// begin sends the client's request and lets the backend begin its answer with the given
// header lines. It is called once for each kind and client.
func (s stage) begin(t *testing.T, k kind, accepted string, header ...string) *passage {
	t.Helper()
	p := &passage{kind: k, stage: s, channel: s.folder + slug(string(s.client.Protocol)+" "+k.name), ended: make(chan error, 1)}
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	p.leave = leave
	r, err := http.NewRequestWithContext(ctx, k.method, s.client.URL+"/"+p.channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", k.accept)
	r.Header.Set("Accept-Encoding", accepted)
	p.answered = send(s.client, r)
	p.ask = s.backend.Next(t)
	if k.mediaType == "" {
		p.ask.Answer(http.StatusOK, "[]")
		p.ask = nil
	} else {
		p.ask.Begin(http.StatusOK, append(header, "Content-Type: "+k.mediaType)...)
	}
	return p
}

// slug makes a path segment from any text.
func slug(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ,'.", r) {
			return '-'
		}
		return r
	}, text)
}

func (p *passage) String() string {
	return fmt.Sprintf("%s%s by %s", p.folder, p.name, p.client.Protocol)
}

// opened waits for the header.
func (p *passage) opened(t *testing.T) *passage {
	t.Helper()
	if p.answer != nil {
		return p
	}
	select {
	case answer := <-p.answered:
		if answer.err != nil {
			t.Fatalf("%s was not answered: %v", p, answer.err)
		}
		p.answer = answer.Response
	case <-time.After(caddytest.Patience):
		t.Fatalf("%s has no header", p)
	}
	go func() {
		defer p.answer.Body.Close()
		p.ended <- p.receive()
	}()
	return p
}

func (p *passage) receive() error {
	var body io.Reader = p.answer.Body
	if p.answer.Header.Get("Content-Encoding") == "gzip" {
		decoded, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = decoded
	}
	_, err := io.Copy(&p.got, body)
	return err
}

// say sends an event, or as many bytes of an answer that is not an event stream.
func (p *passage) say(t *testing.T, text string) {
	t.Helper()
	if p.ask == nil {
		p.caddy.Publish(t, p.channel, "", text)
	} else {
		p.ask.Write("data: " + text + "\n\n")
	}
}

// awaitText returns when the client has received the text, while the answer continues.
func (p *passage) awaitText(t *testing.T, text string) {
	t.Helper()
	p.opened(t)
	caddytest.Await(t, fmt.Sprintf("%s brings %q", p, text), func() bool {
		return strings.Contains(p.got.String(), "data: "+text+"\n\n")
	})
}

// heartbeats counts the comments after the opening one.
func (p *passage) heartbeats() int { return strings.Count(p.got.String(), ": \n") }

// end ends the backend's answer, and checks that the client's ends with it.
func (p *passage) end(t *testing.T) {
	t.Helper()
	if p.ask == nil {
		return
	}
	p.ask.End()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("%s ended with %v", p, err)
		}
	case <-time.After(caddytest.Patience):
		t.Errorf("%s has not ended", p)
	}
}

// passagesSite serves the given route over each protocol, with the given server
// options.
const passagesSite = `
{
	{$GLOBAL}
	servers {
		%s
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	%s
}
http://{$HOOK} {
	parker_publish
}
`

// bareRoute has no other handlers around parker.
const bareRoute = `
	parker
	reverse_proxy {$BACKEND}
`

// setStage starts Caddy with a route and an HTTP/1.1 client.
func setStage(t *testing.T, route string) (stage, *caddytest.Secure) {
	t.Helper()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.StartSecure(t, fmt.Sprintf(passagesSite, "", route), backend.Address)
	return stage{caddy: caddy.Caddy, backend: backend, client: caddy.Client(t, caddytest.HTTP1)}, caddy
}

// expectArrivalAtOnce checks that each part of each kind of answer arrives while the answer
// continues.
func (s stage) expectArrivalAtOnce(t *testing.T, accepted string) {
	t.Helper()
	for _, k := range kinds {
		p := s.begin(t, k, accepted)
		for _, text := range []string{"first", "second"} {
			p.say(t, text)
			p.awaitText(t, text)
		}
		p.end(t)
	}
}
