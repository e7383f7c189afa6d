package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestLimitsLogReachedLimitOncePerMinute(t *testing.T) {
	t.Parallel()
	for limit, c := range map[string]struct{ globals, options string }{
		"max_parked":              {"parker {\n max_parked 1\n}", ""},
		"per_client":              {"", "per_client 1"},
		"max_channels_per_client": {"parker {\n max_channels_per_client 1\n}", ""},
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
			caddy := caddytest.Start(t, configuration(c.globals, "parker {\n"+c.options+"\n}", backend), "")
			url := "http://" + caddy.Site
			parked := caddytest.Get(t.Context(), url+"/first")
			caddy.AwaitWaiting(t, "first", 1)
			for range 10 {
				expect(t, "", "full", caddytest.Get(t.Context(), url+"/second"))
			}
			stream := caddytest.Listen(t, url+"/second")
			if rest, err := stream.Rest(t); stream.Status != 200 || len(rest) != 0 || err != nil {
				t.Errorf("the stream beyond the limit was answered %d, %v, %v", stream.Status, rest, err)
			}
			log := caddy.Stderr.String()
			if n := strings.Count(log, "request not held"); n != 1 || !strings.Contains(log, `"error":"`+limit+` is reached"`) {
				t.Errorf("the limit is logged %d times:\n%s", n, log)
			}
			caddy.Publish(t, "first", "", "news")
			expect(t, "news", "", parked)
		})
	}
}

// Connections to the backend and from clients need file descriptors.
func TestParkerKeepsPollsParkedWithoutFileDescriptors(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewPages(t)
	backend.Put("/messages", caddytest.Page{Header: http.Header{"Connection": {"close"}}, Body: "[]"})
	caddy := caddytest.Start(t, configuration("", "parker", backend.Address), "")
	var polls []<-chan caddytest.Answer
	const parked = 10
	for range parked {
		polls = append(polls, caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages"))
	}
	caddy.AwaitWaiting(t, "messages", parked)
	hook := &http.Transport{} // with its own connection
	caddytest.DoWith(t.Context(), hook, http.MethodGet, "http://"+caddy.Hook+"/messages", "")

	var before unix.Rlimit
	few := unix.Rlimit{Cur: uint64(len(caddy.Descriptors(t)) + 10), Max: 1 << 16}
	if err := unix.Prlimit(caddy.Pid(), unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	few.Max = before.Max
	if err := unix.Prlimit(caddy.Pid(), unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	var idle []net.Conn
	for range 50 {
		conn, err := net.Dial("tcp", caddy.Site)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	caddytest.Await(t, "Caddy has no file descriptor left", func() bool { return len(caddy.Descriptors(t)) >= int(few.Cur) })

	backend.Put("/messages", caddytest.Page{Header: http.Header{"Connection": {"close"}}, Body: "[1]"})
	if g := caddytest.DoWith(t.Context(), hook, http.MethodPost, "http://"+caddy.Hook+"/messages", ""); !strings.Contains(g.Body, fmt.Sprintf(`"released":%d`, parked)) {
		t.Errorf("the hook answered %+v", g)
	}
	for _, conn := range idle {
		conn.Close()
	}
	expect(t, "[1]", "replay", polls...)
}
