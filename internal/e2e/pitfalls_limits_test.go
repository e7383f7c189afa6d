package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTimeLimitsSpareAnswersInProgress(t *testing.T) {
	t.Parallel()
	for name, servers := range map[string]string{
		"each":     "read_header 4s\n read_body 4s\n write 5s\n idle 4s\n read_body_idle 4s 100000\n write_idle 5s 100000000",
		"no other": "read_body 4s\n write 5s\n read_body_idle -1s\n write_idle -1s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			caddy := caddytest.StartSecure(t, fmt.Sprintf(passagesSite, "timeouts {\n"+servers+"\n}", bareRoute), backend.Address)
			var all []*passage
			for _, protocol := range caddytest.Protocols {
				s := stage{caddy: caddy.Caddy, backend: backend, client: caddy.Client(t, protocol)}
				for _, k := range kinds {
					all = append(all, s.begin(t, k, "identity").opened(t))
				}
			}
			for _, text := range []string{"early", "late"} {
				for _, p := range all {
					p.say(t, text)
					p.awaitText(t, text)
				}
				<-time.After(6 * time.Second) // longer than each of the limits
			}
			for _, p := range all {
				p.end(t)
			}
		})
	}
}
