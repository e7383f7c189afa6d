package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// slowSite has time limits that are short enough for a test. It holds polls by POST, so
// that their bodies are read too, and matches by the body at /matched.
const slowSite = `
{
	{$GLOBAL}
	servers {
		timeouts {
			read_header 4s
			read_body   4s
		}
	}
}
http://{$SITE} {
	handle /matched {
		@call parker_body json /method
		respond @call 204
	}
	parker /news {
		methods GET POST
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// Slowloris: many clients that send a byte from time to time.
func TestSlowRequestsAreCutOffAndDelayNobody(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, slowSite)
	before := events(t, caddy)
	answered := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news")
	caddy.AwaitWaiting(t, "news", 1)

	stop := make(chan struct{})
	var dripping sync.WaitGroup
	t.Cleanup(func() {
		close(stop)
		dripping.Wait()
	})
	for _, address := range []string{caddy.Hook, caddy.Site} {
		for _, start := range []string{
			"POST /ne",
			"POST /news HTTP/1.1\r\nHost: " + address + "\r\nX-Long: ",
			"POST /news HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: 60000\r\n\r\n",
			"POST /news HTTP/1.1\r\nHost: " + address + "\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
			"POST /news HTTP/1.1\r\nHost: " + address + "\r\nTransfer-Encoding: chunked\r\n\r\n1;",
			"POST /matched HTTP/1.1\r\nHost: " + address + "\r\nContent-Length: 60000\r\n\r\n",
		} {
			for range 5 {
				client := caddytest.DialRaw(t, address)
				client.Send(start)
				dripping.Go(func() {
					if !client.Drip(stop) {
						t.Errorf("%s: the client that began with %q was not cut off", address, start)
					}
				})
			}
		}
	}
	if g := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Hook+"/news", "hello"); g.Status != http.StatusOK {
		t.Errorf("meanwhile, a publish was answered %+v", g)
	}
	expect(t, "hello", "message", answered)
	cut := make(chan struct{})
	go func() {
		dripping.Wait()
		close(cut)
	}()
	caddytest.Await(t, "all are cut off", func() bool {
		select {
		case <-cut:
			return true
		default:
			return false
		}
	})
	if now := events(t, caddy); now != before+1 {
		t.Errorf("there were %d events, want one", now-before)
	}
	caddy.AwaitWaiting(t, "news", 0)
	if n := pages.Asks("/news"); n > 1+15 {
		t.Errorf("the backend was asked %d times: once, and at the most once for each of the 15 bodies that broke off", n)
	}
}
