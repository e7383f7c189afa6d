package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/websocket"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTransparentWebSocketPassesUnchanged(t *testing.T) {
	t.Parallel()
	backend := websocket.Handler(func(conn *websocket.Conn) {
		websocket.Message.Send(conn, "welcome")
		for {
			var text string
			if websocket.Message.Receive(conn, &text) != nil || text == "bye" {
				return
			}
			websocket.Message.Send(conn, "got "+text)
		}
	})
	caddy := caddytest.StartSecure(t, transparentSite, caddytest.Serve(t, backend.ServeHTTP))
	for _, route := range []string{"/plain", "/parker", "/both", "/observed"} {
		conn, err := websocket.Dial("ws://"+caddy.Site+route+"/chat", "", "http://"+caddy.Site)
		if err != nil {
			t.Fatalf("on %s: %v", route, err)
		}
		defer conn.Close()
		var got []string
		for _, text := range []string{"one", strings.Repeat("two", 50_000), "bye"} {
			var greeting string
			websocket.Message.Receive(conn, &greeting)
			got = append(got, greeting)
			websocket.Message.Send(conn, text)
		}
		if want := []string{"welcome", "got one", "got " + strings.Repeat("two", 50_000)}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("on %s the client received %.100q", route, got)
		}
		if err := websocket.Message.Receive(conn, new(string)); err != io.EOF {
			t.Errorf("on %s the backend's close was reported as %v", route, err)
		}
	}
}

func TestTransparentErrorWithoutBackendIsUnchanged(t *testing.T) {
	t.Parallel()
	handled := "handle_errors {\n respond \"sorry: {err.status_code}\" \n}\n"
	for _, site := range []string{transparentSite, strings.Replace(transparentSite, "bind 127.0.0.1\n", "bind 127.0.0.1\n"+handled, 1)} {
		caddy := caddytest.StartSecure(t, site, caddytest.FreePorts(t, 1)[0])
		for _, protocol := range caddytest.Protocols {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				x := trial{method: method, body: ofKnownLength("hello")}
				client := caddy.Client(t, protocol)
				want := x.make(t.Context(), t, client, "/plain/x")
				if !strings.Contains(want, " 502\n") {
					t.Errorf("without parker, by %s:\n%s", protocol, want)
				}
				for _, route := range []string{"/parker", "/both", "/polls", "/observed"} {
					if got := x.make(t.Context(), t, client, route+"/x"); got != want {
						t.Errorf("on %s, by %s:\n%s\nwithout parker:\n%s", route, protocol, got, want)
					}
				}
			}
		}
	}
}

func TestTransparentLargeAnswerIsNotKeptInMemory(t *testing.T) {
	t.Parallel()
	address := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { writeLarge(w) })
	caddy := caddytest.StartSecure(t, transparentSite, address)
	client := caddy.Client(t, caddytest.HTTP1)
	get := func(path string) {
		if g := client.Do(t.Context(), http.MethodGet, path, ""); g.Err != nil || len(g.Body) != large {
			t.Errorf("%s was answered %d with %d bytes, %v", path, g.Status, len(g.Body), g.Err)
		}
	}
	get("/plain/x")
	before := peakMemory(t, caddy.Caddy)
	get("/parker/x")
	get("/both/x")
	if grown := peakMemory(t, caddy.Caddy) - before; grown > large/2 {
		t.Errorf("Caddy used %d more bytes of memory for %d bytes passed through", grown, large)
	}
}

// peakMemory returns the peak memory use of Caddy, in bytes.
func peakMemory(t *testing.T, caddy *caddytest.Caddy) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", caddy.Pid()))
	if err != nil {
		t.Skip("peak memory is known only on Linux:", err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	kilobytes, err := strconv.Atoi(string(peak[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes * 1024
}
