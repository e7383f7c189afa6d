package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// A client forges positions of another epoch or of the future. For each, the node would
// wait for the broker's server, which might know it already.
func TestForgedPositionsDelayNoOtherClient(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		const madeUp = 1500
		node := s.nodes[0]
		start := node.PublishWith(t, "messages", "before").Position
		node.Publish(t, "messages", "text/plain", "missed")
		type answer struct {
			caddytest.Answer
			ahead bool // a broker that is slow cannot rule out the position
		}
		answers := make(chan answer, madeUp)
		for i := range madeUp {
			position, ahead := fmt.Sprint("parker.MADEUP", i, "-1"), i%3 == 0
			if ahead {
				position = positionAhead(t, start, i+1)
			}
			go func() {
				answers <- answer{caddytest.Do(t.Context(), http.MethodGet, "http://"+node.Site+"/messages", "", "Prefer: wait=0", "Last-Event-ID: "+position), ahead}
			}()
		}
		for i := range madeUp {
			if i%100 == 0 {
				if g := resumedAt(t, node, start); g.Body != "missed" {
					t.Errorf("a client with a position was answered %+v", g)
				}
			}
			if g := <-answers; g.Err != nil || g.Header.Get("Parker-Recovered") != "false" && !g.ahead || g.Header.Get("Last-Event-ID") == "" {
				t.Fatalf("a client with a forged position was answered %+v", g)
			}
		}
	})
}

// positionAhead returns the position that is further on by the given number of events.
func positionAhead(t *testing.T, position string, by int) string {
	t.Helper()
	at := strings.LastIndex(position, "-") + 1
	end := at + len(position[at:]) - len(strings.TrimLeft(position[at:], "0123456789"))
	offset, err := strconv.ParseUint(position[at:end], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return position[:at] + strconv.FormatUint(offset+1<<50+uint64(by), 10) + position[end:]
}
