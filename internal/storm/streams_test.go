package storm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// Each reader of a stream must get every published event.
const (
	readers   = 300
	published = 1500 // events
	interval  = 10 * time.Millisecond
)

const streamsConfig = `{
	{$GLOBAL}
	parker {
		history 10000 10m
	}
}
http://{$SITE} {
	parker /events {
		hold messages
		sse {
			queue 16
		}
	}
}
http://{$HOOK} {
	parker_publish
}`

// Readers stop reading for a while, so that their queues overflow, or disconnect, and
// resume where they were.
func TestStormOfStreamsDeliversEachEventOnceInOrder(t *testing.T) {
	caddy := caddytest.Start(t, streamsConfig, "127.0.0.1:1")
	first := strings.Trim(caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/events", "", "Prefer: wait=0").Header.Get("Last-Event-ID"), " ")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	all := make([]*reader, readers)
	var wg sync.WaitGroup
	for i := range all {
		all[i] = &reader{url: "http://" + caddy.Site + "/events", last: first}
		wg.Go(func() { all[i].read(ctx, t) })
	}
	for i := range published {
		next := time.After(interval)
		caddy.Publish(t, "events", "text/plain", strconv.Itoa(i)+" "+padding)
		<-next
	}
	wg.Wait()
	stopped, left := 0, 0
	for _, r := range all {
		stopped, left = stopped+r.stopped, left+r.left
		if r.next != published {
			t.Errorf("a reader has heard %d of %d events on %d connections", r.next, published, r.came)
		}
	}
	t.Logf("%d readers stopped %d times and left %d times", readers, stopped, left)
}

// padding makes the events large enough to fill the buffers of a connection that is not
// read.
var padding = strings.Repeat("x", 4000)

// reader listens to a stream, with pauses.
type reader struct {
	url  string
	last string // the ID of the last event

	next                int // the number of the next event
	came, stopped, left int
}

func (r *reader) read(ctx context.Context, t *testing.T) {
	for r.next < published && ctx.Err() == nil {
		r.came++
		if err := r.listen(ctx); err != nil {
			t.Error(err)
			return
		}
	}
}

// listen reads one stream to its end, or disconnects.
func (r *reader) listen(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", r.last)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("not answered: %w", err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	for r.next < published {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("broken off: %w", err)
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name {
		case "event":
			return fmt.Errorf("heard %s", value)
		case "id":
			r.last = value
		case "data":
			number, _, _ := strings.Cut(value, " ")
			if number != strconv.Itoa(r.next) {
				return fmt.Errorf("heard event %s, want %d", number, r.next)
			}
			r.next++
			switch rand.N(1000) {
			case 0:
				r.left++
				return nil
			case 1, 2:
				r.stopped++
				time.Sleep(rand.N(5 * time.Second))
			}
		}
	}
	return nil
}
