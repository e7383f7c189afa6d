package e2e

import (
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// beatingRoute has heartbeats that are frequent enough for a test.
const beatingRoute = `
	parker {
		sse {
			heartbeat 20ms
		}
	}
	reverse_proxy {$BACKEND}
`

func TestBackendStreamGetsHeadersAndHeartbeats(t *testing.T) {
	t.Parallel()
	s, caddy := setStage(t, beatingRoute)
	for _, protocol := range []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP2} {
		s.client = caddy.Client(t, protocol)
		for _, k := range kinds {
			if k.mediaType == "" {
				continue
			}
			p := s.begin(t, k, "identity", "Cache-Control: no-cache, private").opened(t)
			want := map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-cache, private", "Content-Length": ""}
			if k.isStream() {
				want["Cache-Control"] += ", no-transform"
			}
			for name, value := range want {
				if got := strings.Join(p.answer.Header[name], " | "); got != value {
					t.Errorf("%s has %s %q, want %q", p, name, got, value)
				}
			}
			for _, text := range []string{"first", "second"} {
				if k.isStream() {
					p.awaitHeartbeats(t, 2)
				}
				p.say(t, text)
				p.awaitText(t, text)
			}
			p.end(t)
			if got := strings.ReplaceAll(p.got.String(), ": \n", ""); got != "data: first\n\ndata: second\n\n" {
				t.Errorf("%s delivered %q", p, got)
			}
			if !k.isStream() && p.heartbeats() > 0 {
				t.Errorf("%s has comments in it: %q", p, &p.got)
			}
		}
	}
}

// awaitHeartbeats waits for more heartbeats.
func (p *passage) awaitHeartbeats(t *testing.T, more int) {
	t.Helper()
	before := p.heartbeats()
	caddytest.Await(t, p.String()+" has heartbeats", func() bool { return p.heartbeats() >= before+more })
}
