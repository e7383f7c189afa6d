package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// maxBatch is the size limit, in bytes, of an answer with several messages.
const maxBatch = 1_000_000

// readBatches asks with ?batch=true, each time from the position of the last answer,
// until an answer is empty. It returns the messages of all answers.
func readBatches(t *testing.T, target, at string) (all batch, answers int) {
	t.Helper()
	for {
		g := caddytest.Do(t.Context(), http.MethodGet, target, "", "Prefer: wait=0", "Accept: application/json", "Last-Event-ID: "+at)
		if g.Release() != "history" {
			if g.Header.Get("Parker-Recovered") != "" || g.Body != "[]" {
				t.Errorf("after %s: %+v", at, g)
			}
			return all, answers
		}
		var got batch
		if err := json.Unmarshal([]byte(g.Body), &got); err != nil || len(got) == 0 {
			t.Fatalf("after %s: %v, with %d messages in %d bytes", at, err, len(got), len(g.Body))
		}
		if len(got) > 1 && len(g.Body) > maxBatch {
			t.Errorf("an answer has %d messages in %d bytes", len(got), len(g.Body))
		}
		next := g.Header.Get("Last-Event-ID")
		if next != got[len(got)-1].ID {
			t.Errorf("an answer ends with %s, and its position is %s", got[len(got)-1].ID, next)
		}
		at, all, answers = next, append(all, got...), answers+1
	}
}

func TestHistoryBatchIsLimitedToOneMegabyte(t *testing.T) {
	t.Parallel()
	const messages, size = 30, 200_000
	caddy, _ := startNews(t, withHook(`
	parker /news news other
	reverse_proxy {$BACKEND}
`))
	at := caddy.PublishWith(t, "news", "before").Position
	filler := strings.Repeat("m", size)
	for i := range messages {
		// A wake-up is on the same channel, on the other one, or on both.
		if i%3 > 0 {
			caddy.Publish(t, "news", "", "")
		}
		if i%3 < 2 {
			caddy.Publish(t, "other", "", "")
		}
		caddy.Publish(t, []string{"news", "other"}[i%7%2], "text/plain", fmt.Sprint(i, " ", filler))
	}
	all, answers := readBatches(t, "http://"+caddy.Site+"/news?batch=true", at)
	if len(all) != messages {
		t.Errorf("got %d messages, want %d", len(all), messages)
	}
	for i, e := range all {
		if n, body, _ := strings.Cut(e.Data, " "); n != fmt.Sprint(i) || body != filler {
			t.Fatalf("message %d is %.20q, of %d bytes", i, e.Data, len(e.Data))
		}
	}
	if most := messages * size / maxBatch * 2; answers > most {
		t.Errorf("the messages came in %d answers, more than %d", answers, most)
	}
}
