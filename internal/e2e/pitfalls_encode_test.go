package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// encodeRoutes have encode inside parker, where Caddy puts it, and outside. It
// compresses everything that it may.
var encodeRoutes = map[string]string{
	"inside": `
	parker
	encode gzip zstd {
		minimum_length 1
	}
	reverse_proxy {$BACKEND}
`,
	"outside": `
	route {
		encode gzip zstd {
			minimum_length 1
		}
		parker
		reverse_proxy {$BACKEND}
	}
`,
}

func TestEncodeDelaysNothing(t *testing.T) {
	t.Parallel()
	for where, route := range encodeRoutes {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s, _ := setStage(t, route)
			for _, k := range kinds {
				p := s.begin(t, k, "gzip")
				for _, text := range []string{"first", "second"} {
					p.say(t, text)
					p.awaitText(t, text)
				}
				// An event stream is not compressed, so that it can have heartbeats.
				// The exception is encode inside parker, where the media type was not
				// known in advance.
				want := "gzip"
				if k.isStream() && (where == "outside" || k.accept == eventStream) {
					want = ""
				}
				if coding := p.answer.Header.Get("Content-Encoding"); coding != want {
					t.Errorf("%s has the coding %q, want %q", p, coding, want)
				}
				p.end(t)
			}
		})
	}
}

func TestEncodeLeavesPollAnswersWhole(t *testing.T) {
	t.Parallel()
	for where, route := range encodeRoutes {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			pages := caddytest.NewPages(t)
			caddy := caddytest.StartSecure(t, fmt.Sprintf(passagesSite, "", route), pages.Address)
			client := caddy.Client(t, caddytest.HTTP1)
			for path, message := range map[string]string{"message": `["news"]`, "replay": ""} {
				pages.Put("/"+path, emptyList)
				answered := client.Get(t.Context(), "/"+path, "Accept-Encoding: gzip")
				caddy.AwaitWaiting(t, path, 1)
				pages.Put("/"+path, caddytest.Page{Header: http.Header{"Content-Type": {"application/json"}}, Body: `["news"]`})
				caddy.Publish(t, path, "", message)
				if g := <-answered; g.Err != nil || decoded(g) != `["news"]` || g.Release() != path {
					t.Errorf("after a publish the poll was answered %+v", g)
				}
			}
		})
	}
}

// decoded returns the body of an answer, decompressed if necessary.
func decoded(a caddytest.Answer) string {
	if a.Header.Get("Content-Encoding") != "gzip" {
		return a.Body
	}
	r, err := gzip.NewReader(strings.NewReader(a.Body))
	if err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
