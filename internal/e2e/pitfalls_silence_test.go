package e2e

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// silence is longer than a minute, the default of most time limits.
const silence = 70 * time.Second

// silentRoute has polls that are held for longer than silence, streams that are silent
// for longer, and both with defaults.
const silentRoute = `
	parker /held/* {
		timeout 80s
	}
	parker /default/*
	parker /silent/* {
		sse {
			heartbeat 80s
		}
	}
	reverse_proxy {$BACKEND}
`

// vigil is a test with a long silence.
type vigil struct {
	*testing.T
	caddy   *caddytest.Secure
	backend *caddytest.Scripted
	goingOn []*passage
	held    map[string]<-chan caddytest.Answer // polls that wait for a message, by channel
	over    map[string]<-chan caddytest.Answer // polls that time out before one comes
}

// client makes a new client, whose connection nothing else keeps alive.
func (v *vigil) client(protocol caddytest.Protocol) *caddytest.Client {
	client := v.caddy.Client(v.T, protocol)
	if transport, ok := client.Transport.(*http3.Transport); ok {
		transport.QUICConfig = &quic.Config{MaxIncomingStreams: -1} // so that the client does not keep it alive either
	}
	return client
}

// poll parks polls below a folder.
func (v *vigil) poll(polls map[string]<-chan caddytest.Answer, folder string, client *caddytest.Client) {
	channel := folder + slug(string(client.Protocol))
	answered := make(chan caddytest.Answer, 1)
	polls[channel] = answered
	go func() {
		r, _ := http.NewRequestWithContext(v.Context(), http.MethodGet, client.URL+"/"+channel, nil)
		answer, err := client.Transport.RoundTrip(r)
		if err != nil {
			answered <- caddytest.Answer{Err: err}
			return
		}
		body, err := io.ReadAll(answer.Body)
		answered <- caddytest.Answer{Status: answer.StatusCode, Header: answer.Header, Body: string(body), Err: err}
	}()
	v.backend.Next(v.T).Answer(http.StatusOK, "[]")
}

// pass begins passages below a folder, each with its own client.
func (v *vigil) pass(folder string, protocol caddytest.Protocol, kinds ...kind) {
	for _, k := range kinds {
		s := stage{caddy: v.caddy.Caddy, backend: v.backend, client: v.client(protocol), folder: folder}
		v.goingOn = append(v.goingOn, s.begin(v.T, k, "identity").opened(v.T))
	}
}

func TestSilenceBeyondAMinuteEndsNothing(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	v := &vigil{
		T: t, caddy: caddytest.StartSecure(t, fmt.Sprintf(passagesSite, "", silentRoute), backend.Address), backend: backend,
		held: make(map[string]<-chan caddytest.Answer), over: make(map[string]<-chan caddytest.Answer),
	}
	for _, protocol := range []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP1TLS, caddytest.HTTP2} {
		v.poll(v.held, "held/", v.client(protocol))
		v.pass("silent/", protocol, kinds...)
	}
	// This proxy cuts a connection that is silent for half a minute.
	v.poll(v.over, "held/", v.client(caddytest.HTTP3))
	v.pass("default/", caddytest.HTTP3, streams()...)
	// This proxy cuts a connection that is silent for a minute.
	nginx := caddytest.StartNginx(t, v.caddy.Site)
	v.poll(v.over, "default/", nginx)
	for _, k := range streams() {
		s := stage{caddy: v.caddy.Caddy, backend: backend, client: nginx, folder: "default/"}
		v.goingOn = append(v.goingOn, s.begin(t, k, "identity").opened(t))
	}

	<-time.After(silence)
	for channel, answered := range v.over {
		v.expect(channel, answered, "[]", "timeout")
	}
	for channel, answered := range v.held {
		v.caddy.Publish(t, channel, "", "message")
		v.expect(channel, answered, "message", "message")
	}
	for _, p := range v.goingOn {
		p.say(t, "late")
		p.awaitText(t, "late")
		p.end(t)
	}
}

// expect checks the answer to a poll.
func (v *vigil) expect(channel string, answered <-chan caddytest.Answer, body, release string) {
	v.Helper()
	select {
	case g := <-answered:
		if g.Err != nil || g.Body != body || g.Release() != release {
			v.Errorf("the poll at %s was answered %+v", channel, g)
		}
	case <-time.After(caddytest.Patience):
		v.Errorf("the poll at %s was not answered", channel)
	}
}

// streams returns the kinds that are event streams.
func streams() (streams []kind) {
	for _, k := range kinds {
		if k.isStream() {
			streams = append(streams, k)
		}
	}
	return streams
}

// When the history of other channels has expired, an old position no longer shows that
// nothing was missed, and a reload can change the channels of a stream. So each stream
// that is silent for about a minute is sent the current position, and goes on in the
// current configuration.
func TestSilentStreamsAreRefreshedWithinAMinute(t *testing.T) {
	t.Parallel()
	quiet := caddytest.Start(t, streamSite, caddytest.NewLegacy(t).Address)
	refreshed := caddytest.Listen(t, "http://"+quiet.Site+"/messages?since=0")
	first := refreshed.NextID(t, "")
	now := quiet.PublishWith(t, "elsewhere", "").Position

	pages := caddytest.NewPages(t)
	pages.Put("/messages", caddytest.Page{Body: "old"})
	caddy := caddytest.Start(t, configuration("", "parker before", pages.Address), "")
	moved := caddytest.Listen(t, "http://"+caddy.Site+"/messages")
	hears(t, moved, "old")
	caddy.MustLoad(t, configuration("", "parker after", pages.Address))
	pages.Put("/messages", caddytest.Page{Body: "new"})
	caddy.Publish(t, "after", "", "")
	if event, ok, err := moved.NextWithin(2 * time.Minute); err != nil || !ok || event.Data != "new" {
		t.Errorf("the stream was sent %+v, %v, %v", event, ok, err)
	}
	caddy.Publish(t, "after", "text/plain", "hello")
	hears(t, moved, "hello")
	if id := refreshed.NextID(t, first); id != now {
		t.Errorf("the client resumes from %s, want %s", id, now)
	}
}
