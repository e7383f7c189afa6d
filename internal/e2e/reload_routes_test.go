package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// parkedPair is a poll and a stream parked on one channel.
type parkedPair struct {
	poll   <-chan caddytest.Answer
	stream *caddytest.Stream
}

// parkPair parks a poll and a stream. The backend has nothing new.
func parkPair(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, url, channel string, header ...string) parkedPair {
	t.Helper()
	var s parkedPair
	go func() { (<-backend.Asks()).Answer(204, "") }()
	s.stream = caddytest.Listen(t, url, header...)
	s.poll = caddytest.Get(t.Context(), url, header...)
	backend.Next(t).Answer(204, "")
	caddy.AwaitWaiting(t, channel, 1)
	awaitStreams(t, caddy, channel, 1)
	return s
}

func TestReloadRevokesAccessOfParkedRequests(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker /messages", backend.Address), "")
	s := parkPair(t, caddy, backend, "http://"+caddy.Site+"/messages", "messages")
	caddy.MustLoad(t, configuration("", `basic_auth {
		user $2a$04$ZkCmQ4SCMAOGHVjSYYCkUeCAxbTwzTNYRrWOhiAgi6dyhmCpgVQHK
	}
	parker /messages`, backend.Address))
	caddy.Publish(t, "messages", "", "")
	if g := <-s.poll; g.Status != 401 || g.Header.Get("Www-Authenticate") == "" {
		t.Errorf("the poll was answered %+v", g)
	}
	ends(t, s.stream, `{"status":401}`)
	caddy.AwaitWaiting(t, "messages", 0)
	awaitStreams(t, caddy, "messages", 0)
	backend.Unasked(t)
}

func TestReloadWithoutParkerOnRouteGivesBackendsAnswer(t *testing.T) {
	t.Parallel()
	old, young := caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker /messages", old.Address), "")
	s := parkPair(t, caddy, old, "http://"+caddy.Site+"/messages", "messages")
	caddy.MustLoad(t, configuration("", "", young.Address))
	caddy.Publish(t, "messages", "", "")
	for range 2 {
		young.Next(t).Answer(200, "as it is")
	}
	if g := <-s.poll; g.Status != 200 || g.Body != "as it is" || g.Header.Get("Parker-Status") != "" {
		t.Errorf("the poll was answered %+v", g)
	}
	ends(t, s.stream)
	old.Unasked(t)
	young.Unasked(t)
}

func TestReloadWithoutAppAnswersAllRequests(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	site := configuration("", "parker /messages", backend.Address)
	caddy := caddytest.Start(t, site, "")
	url := "http://" + caddy.Site + "/messages"
	s := parkPair(t, caddy, backend, url, "messages")
	caddy.MustLoad(t, "http://{$SITE} {\n reverse_proxy "+backend.Address+"\n}\n")
	expect(t, "", "stop", s.poll)
	ends(t, s.stream)

	caddy.MustLoad(t, site)
	caddy.AwaitServing(t, caddy.Hook)
	s = parkPair(t, caddy, backend, url, "messages")
	if p := caddy.PublishWith(t, "messages", "hello again"); p.Released != 2 {
		t.Errorf("released %d", p.Released)
	}
	expect(t, "hello again", "", s.poll)
	hears(t, s.stream, "hello again")
}

func TestReloadKeepsSitesOnSharedPortApart(t *testing.T) {
	t.Parallel()
	const sites = `{
	{$GLOBAL}
}
http://a.example:{$PORT} {
	parker /messages a
	reverse_proxy A
}
http://b.example:{$PORT} {
	parker /messages b
	reverse_proxy B
}
http://{$HOOK} {
	parker_publish
}
http://{$SITE} {
	respond ready
}
`
	address := caddytest.FreePorts(t, 1)[0]
	_, port, _ := net.SplitHostPort(address)
	backends := map[string]*caddytest.Scripted{"a": caddytest.NewScripted(t), "b": caddytest.NewScripted(t)}
	old := caddytest.NewScripted(t)
	text := func(a, b string) string {
		return strings.NewReplacer(" A\n", " "+a+"\n", " B\n", " "+b+"\n").Replace(sites)
	}
	caddy := caddytest.Start(t, text(old.Address, old.Address), "", "PORT="+port)
	caddy.AwaitServing(t, address)
	parked := make(map[string]<-chan caddytest.Answer)
	for name := range backends {
		answered := make(chan caddytest.Answer, 1)
		go func() { answered <- askAs(t, address, name+".example") }()
		parked[name] = answered
		old.Next(t).Answer(204, "")
		caddy.AwaitWaiting(t, name, 1)
	}
	caddy.MustLoad(t, text(backends["a"].Address, backends["b"].Address))
	for name, backend := range backends {
		caddy.Publish(t, name, "", "")
		backend.Next(t).Answer(200, "of "+name)
		expect(t, "of "+name, "", parked[name])
	}
	old.Unasked(t)
}

// askAs sends a request to the address with another host name.
func askAs(t *testing.T, address, host string) caddytest.Answer {
	transport := &http.Transport{DialContext: dialAt("tcp", address)}
	defer transport.CloseIdleConnections()
	return caddytest.DoWith(t.Context(), transport, http.MethodGet, "http://"+host+"/messages", "")
}
