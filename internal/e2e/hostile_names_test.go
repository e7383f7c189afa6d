package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// anyRoom lets clients name the channel in the query, in a header field, in a cookie
// and in the path.
const anyRoom = `
{
	{$GLOBAL}
	servers {
		max_header_size 4MB
	}
}
http://{$SITE} {
	handle /query {
		parker_notify rooms/{query.room}
		parker rooms/{query.room}
	}
	handle /field {
		parker_notify {header.X-Room}
		parker {header.X-Room}
	}
	handle /cookie {
		parker_notify {cookie.room}
		parker {cookie.room}
	}
	handle /path/* {
		parker_notify
		parker
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// The server is configured to accept such names. The backend accepts up to a megabyte.
func TestChannelsOfMegabyteNamesAreRefused(t *testing.T) {
	t.Parallel()
	var announced string
	var mu sync.Mutex // guards announced
	caddy := caddytest.Start(t, anyRoom, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if announced != "" {
			w.Header().Set("Parker-Publish", announced)
		}
		fmt.Fprint(w, "[]")
	}))
	before := events(t, caddy)
	for _, size := range []int{256, 60_000, 900_000, 1_048_576, 3_000_000} {
		long := strings.Repeat("x", size)
		for target, header := range map[string]string{
			"/query?room=" + long: "X-None: 1",
			"/field":              "X-Room: " + long,
			"/cookie":             "Cookie: room=" + long,
			"/path/" + long:       "X-None: 2",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				client := caddytest.DialRaw(t, caddy.Site)
				go client.Send(method + " " + target + " HTTP/1.1\r\nHost: " + caddy.Site + "\r\n" + header + "\r\nContent-Length: 0\r\n\r\n")
				g := client.Answer()
				if size < 2_000_000 && g.Body != "[]" || size > 2_000_000 && g.Status != 431 || method == http.MethodGet && g.Release() != "none" {
					t.Errorf("%s %.10s %.10s of %d bytes was answered %+v", method, target, header, size, g)
				}
			}
		}
		for _, target := range []string{"/" + long, "/?channel=" + long, "/" + strings.Repeat("%78", size/3)} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				client := caddytest.DialRaw(t, caddy.Hook)
				go client.Send(method + " " + target + " HTTP/1.1\r\nHost: " + caddy.Hook + "\r\nContent-Length: 0\r\n\r\n")
				if g := client.Answer(); size > 3*256 && (g.Status != 400 || len(g.Body) > 1000) {
					t.Errorf("the hook answered %s %.10s of %d bytes %+v", method, target, size, g)
				}
			}
		}
		mu.Lock()
		announced = long
		mu.Unlock()
		if g := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/query?room=a", ""); g.Status != 200 && g.Status != 502 {
			t.Errorf("where the backend announces %d bytes, the write was answered %+v", size, g)
		}
		mu.Lock()
		announced = ""
		mu.Unlock()
	}
	// The hook accepts the name of 256/3 characters, and the write to rooms/a is
	// published each time.
	if now := events(t, caddy); now-before > 1+5 {
		t.Errorf("there were %d events", now-before)
	}
	if list := channels(t, caddy.Hook); len(list) != 0 {
		t.Errorf("there are requests waiting on %d channels", len(list))
	}
	if log := caddy.Stderr.String(); len(log) > 100_000 {
		t.Errorf("the log has %d bytes", len(log))
	}
}

// channels returns the channels with waiting requests, as the hook lists them.
func channels(t *testing.T, hook string) (names []string) {
	t.Helper()
	for query := "?limit=1000"; query != ""; {
		g := caddytest.Do(t.Context(), http.MethodGet, "http://"+hook+"/"+query, "")
		var page struct {
			Channels []struct{ Channel string }
			Next     string
		}
		if err := json.Unmarshal([]byte(g.Body), &page); err != nil || g.Status != http.StatusOK {
			t.Fatalf("the hook answered %+v", g)
		}
		for _, c := range page.Channels {
			names = append(names, c.Channel)
		}
		if query = ""; page.Next != "" {
			query = "?limit=1000&after=" + url.QueryEscape(page.Next)
		}
	}
	return names
}
