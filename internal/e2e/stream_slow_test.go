package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// overflowQueue publishes more than fits into the queue and the connection of a client that
// does not read. It calls published after each message, and returns all texts.
func overflowQueue(t *testing.T, caddy *caddytest.Caddy, published func(text string)) (texts []string) {
	t.Helper()
	for i := range 40 {
		text := fmt.Sprint(i, " ", strings.Repeat("long ", 100_000))
		caddy.Publish(t, "news", "", text)
		texts = append(texts, text)
		published(text)
	}
	return texts
}

func TestStreamOfSlowReaderEndsAndResumesWithoutGap(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]string{"by count": "queue 3", "by size": "queue 1000 2MB"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caddy, _ := startNews(t, newsSite("sse {\n"+queue+"\n}"))
			stall := caddytest.NewStall()
			url := "http://" + caddy.Site + "/news"
			slow := caddytest.ListenWith(t, stall.Transport(), url)
			slow.NextID(t, "")
			quick := caddytest.Listen(t, url)
			quick.NextID(t, "")
			awaitStreams(t, caddy, "news", 2)
			stall.Stop()
			want := overflowQueue(t, caddy, func(text string) {
				hears(t, quick, text)
			})
			awaitStreams(t, caddy, "news", 2)
			stall.GoOn()
			events, lastID, err := slow.All(t)
			if err != nil || len(events) == 0 || len(events) == len(want) {
				t.Errorf("the slow client heard %d events, and then %v", len(events), err)
			}
			rest := caddytest.Listen(t, url, "Last-Event-ID: "+lastID)
			var got []string
			for _, e := range events {
				got = append(got, e.Data)
			}
			for len(got) < len(want) {
				got = append(got, rest.Next(t).Data)
			}
			if !slices.Equal(got, want) {
				t.Error("the slow client did not get all messages in order")
			}
			awaitStreams(t, caddy, "news", 2)
		})
	}
}
