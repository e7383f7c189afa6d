package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// appendPage adds what its timer's polls bring, and does not wait for one before it sends the
// next one. Chromium sends requests for one URL in turn.
const appendPage = `<!doctype html>
<script>
document.cookie = "session=1"
let last = 0, polls = 0, shown = []
setInterval(async () => {
	const answer = await (await fetch("/messages?after=" + last)).json()
	polls++
	if (answer.length > 0) {
		shown.push(...answer)
		last = answer[answer.length - 1]
	}
}, 500)
</script>`

// messages is a backend that has all messages after a number.
type messages struct {
	mu   sync.Mutex // guards both
	last int
	asks int
}

func (m *messages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		m.last++
	case r.URL.Path == "/messages":
		m.asks++
		after, _ := strconv.Atoi(r.FormValue("after"))
		all := make([]int, 0)
		for n := after + 1; n <= m.last; n++ {
			all = append(all, n)
		}
		_ = json.NewEncoder(w).Encode(all)
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, appendPage)
	}
}

func (m *messages) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asks
}

func TestTimerPageShowsEachMessageOnce(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	backend := new(messages)
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker_notify /messages
	parker /messages {
		timer
	}
	reverse_proxy {$BACKEND}
}
`, caddytest.Serve(t, backend.ServeHTTP))
	page := &tab{ctx: newTab(t, chromium, "http://"+caddy.Site)}
	polls := func() int {
		n, err := chromedp.Run(page.ctx, chromedp.Evaluate[int](`polls`))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for n := 1; n <= 2; n++ {
		begun, before := polls(), backend.asked()
		caddytest.Await(t, "the page has polled six times", func() bool { return polls() >= begun+6 })
		if asks := backend.asked() - before; asks > 3 {
			t.Errorf("%d of six polls reached the backend", asks)
		}
		caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/messages", "")
		begun = polls()
		caddytest.Await(t, "the polls are answered that were sent before the message", func() bool { return polls() >= begun+3 })
		shown, err := chromedp.Run(page.ctx, chromedp.Evaluate[[]int](`shown`))
		if err != nil {
			t.Fatal(err)
		}
		// On a busy machine, plain polls overlap as well, and get a message twice or so.
		if len(shown) < n || len(shown) > 4*n || shown[len(shown)-1] != n {
			t.Fatalf("after %d messages the page shows %v", n, shown)
		}
	}
}
