package e2e

import (
	"fmt"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamsOfOneURLShareOneReplay(t *testing.T) {
	t.Parallel()
	const many = 200
	caddy, pages := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "elsewhere", "").Position
	// Each stream resumes from its own position, which the backend does not see.
	var streams []*caddytest.Stream
	for i := range many {
		streams = append(streams, caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+at))
		at = caddy.PublishWith(t, fmt.Sprint("elsewhere/", i), "").Position
	}
	awaitStreams(t, caddy, "news", many)
	for i := range 5 {
		text := fmt.Sprint("news ", i)
		pages.Put("/news", caddytest.Page{Body: text})
		asks := pages.Asks("/news")
		p := caddy.PublishWith(t, "news", "")
		for _, s := range streams {
			hearsAt(t, s, text, p.Position)
		}
		if cost := pages.Asks("/news") - asks; cost != 1 || p.Released != many {
			t.Errorf("a wake-up of %d cost %d replays", p.Released, cost)
		}
	}
}

func TestStreamsWorkOnEveryProtocol(t *testing.T) {
	eachProtocol(t, protocolsSite, func(t *testing.T, s scene) {
		var streams []*caddytest.Stream
		for range 5 {
			streams = append(streams, caddytest.ListenWith(t, s.client.Transport, s.client.URL+s.path))
		}
		awaitStreams(t, s.caddy.Caddy, s.channel, 5)
		var at string
		for i := range 3 {
			text := fmt.Sprint("news ", i)
			s.pages.Put(s.path, caddytest.Page{Body: text})
			s.caddy.Publish(t, s.channel, "", "")
			message := s.caddy.PublishWith(t, s.channel, "line\r\n"+text)
			for _, stream := range streams {
				if a, b := stream.Next(t), stream.Next(t); a.Data != text || b.Data != "line\n"+text || b.ID != message.Position {
					t.Errorf("heard %+v and %+v", a, b)
				}
			}
			at = message.Position
		}
		want := s.caddy.PublishWith(t, s.channel, "missed").Position
		late := caddytest.ListenWith(t, s.client.Transport, s.client.URL+s.path, "Last-Event-ID: "+at)
		hearsAt(t, late, "missed", want)
	})
}
