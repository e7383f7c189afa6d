package e2e

import (
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// The older poll of a page was kept at a reload, and is parked on the same channels or
// on others.
func TestSupersedeEndsOlderPollAfterReload(t *testing.T) {
	t.Parallel()
	for _, channels := range []string{"messages", "messages more"} {
		t.Run(channels, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			text := func(channels string) string {
				return configuration("", "parker "+channels+" {\n supersede {query.page}\n look_again off\n}", backend.Address)
			}
			caddy := caddytest.Start(t, text("messages"), "")
			url := "http://" + caddy.Site + "/messages?page=1"
			older := caddytest.Get(t.Context(), url)
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)
			caddy.MustLoad(t, text(channels))
			caddy.Publish(t, "messages", "", "")
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)

			newer := caddytest.Get(t.Context(), url+"&newer")
			expect(t, "", "timeout", older)
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "messages", 1)
			caddy.Publish(t, "messages", "", "news")
			expect(t, "news", "", newer)
		})
	}
}
