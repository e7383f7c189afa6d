package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// TestObserveLeavesOutPollsThatMoveAtReload parks a poll and a stream in one configuration and
// gets their answers from another. Neither of the two has seen the whole poll.
func TestObserveLeavesOutPollsThatMoveAtReload(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	const held = "parker_observe\nparker /messages {\n look_again off\n}"
	caddy := caddytest.Start(t, configuration("", held, backend.Address), "")
	parked := parkPair(t, caddy, backend, "http://"+caddy.Site+"/messages", "messages")
	for _, route := range []string{held + "\nheader X-Loaded again", held} {
		caddy.MustLoad(t, configuration("", route, backend.Address))
		caddy.Publish(t, "messages", "", "")
		for range 2 {
			backend.Next(t).Answer(204, "")
		}
		caddy.AwaitWaiting(t, "messages", 1)
		awaitStreams(t, caddy, "messages", 1)
	}
	caddy.Publish(t, "messages", "", "hello")
	expect(t, "hello", "message", parked.poll)
	hears(t, parked.stream, "hello")
	direct := caddytest.Get(t.Context(), "http://"+caddy.Site+"/direct")
	backend.Next(t).Answer(200, "[]")
	<-direct

	var advice struct{ Report struct{ Requests int } }
	caddytest.Await(t, "the stream and the direct request are seen, once", func() bool {
		answer := caddy.Administer(t, http.MethodGet, "/parker/advice", "")
		if err := json.Unmarshal([]byte(answer.Body), &advice); err != nil {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		return advice.Report.Requests >= 2
	})
	if advice.Report.Requests != 2 {
		t.Errorf("%d requests were seen", advice.Report.Requests)
	}
}
