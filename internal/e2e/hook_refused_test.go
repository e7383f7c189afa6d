package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// refusingSite refuses publishes for each reason that is checked before the body is
// read.
const refusingSite = `
http://{$SITE} {
	handle_path /open/* {
		parker_publish
	}
	handle_path /closed/* {
		parker_publish {
			allow 192.0.2.1
		}
	}
	handle_path /token/* {
		parker_publish {
			token secret
		}
	}
	handle /status {
		parker_status
	}
}
http://{$HOOK} {
	parker_publish
}
`

// writeThenRead sends the whole request before it reads the answer, as many HTTP
// libraries do.
func writeThenRead(t *testing.T, network, address, request string) (status string, err error) {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(caddytest.Patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return "", fmt.Errorf("sending: %w", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", fmt.Errorf("reading: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && !strings.Contains(string(text), "detail") && !strings.Contains(string(text), "error") {
		err = fmt.Errorf("the answer is %q", text)
	}
	return fmt.Sprint(answer.StatusCode), err
}

func TestHookRefusalReachesClientThatSendsBodyFirst(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, refusingSite, "")
	admin := strings.TrimPrefix(caddy.Admin(), "unix/")
	const size = 2_000_000
	body := strings.Repeat("x", size)
	inOne := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, body)
	inChunks := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body)
	for _, x := range []struct{ network, address, line, field, want string }{
		{"tcp", caddy.Hook, "POST /news", "", "413"},
		{"tcp", caddy.Hook, "POST /news", "Content-Encoding: gzip\r\n", "413"},
		{"tcp", caddy.Hook, "POST /news", "Parker-Expires: soon\r\n", "400"},
		{"tcp", caddy.Hook, "POST /news", "Origin: https://example.org\r\n", "403"},
		{"tcp", caddy.Hook, "POST /", "", "400"},
		{"tcp", caddy.Hook, "PATCH /news", "", "405"},
		{"tcp", caddy.Site, "PUT /open/news", "", "413"},
		{"tcp", caddy.Site, "POST /closed/news", "", "403"},
		{"tcp", caddy.Site, "POST /token/news", "", "401"},
		{"tcp", caddy.Site, "POST /status", "", "405"},
		{"unix", admin, "POST /parker/channels/news", "", "413"},
		{"unix", admin, "POST /parker/channels/", "", "400"},
		{"unix", admin, "POST /parker/channels", "", "405"},
		{"unix", admin, "POST /parker/status", "", "405"},
		{"unix", admin, "POST /parker/", "", "405"},
		{"unix", admin, "POST /parker/nothing", "", "404"},
	} {
		host := x.address
		if x.network == "unix" {
			host = "127.0.0.1"
		}
		for kind, framed := range map[string]string{"": inOne, " in chunks": inChunks} {
			for range 20 {
				status, err := writeThenRead(t, x.network, x.address, x.line+" HTTP/1.1\r\nHost: "+host+"\r\n"+x.field+framed)
				if err != nil || status != x.want {
					t.Errorf("%s %q%s was answered %q, want %s: %v", x.line, x.field, kind, status, x.want, err)
					break
				}
			}
		}
	}
}

func TestHookCutsOffRefusedClientThatSendsSlowly(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, refusingSite, "")
	ended := make(chan string)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	starts := []string{
		"POST /token/news HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n\r\n",
		"POST /token/news HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000000000\r\n\r\n",
		"POST /closed/news HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
		"POST /open/news HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n\r\n",
		"POST /open/news HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n",
	}
	for _, start := range starts {
		client := caddytest.DialRaw(t, caddy.Site)
		client.Send(start)
		if g := client.Answer(); g.Err != nil || g.Status < 400 || g.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q was answered %+v", start, g)
		}
		go func() {
			if client.Drip(stop) {
				ended <- start
			}
		}()
	}
	for range starts {
		select {
		case <-ended:
		case <-time.After(caddytest.Patience):
			t.Fatal("a slow sender was not cut off")
		}
	}
}

func TestHookRefusesHTTP2And3WithoutReadingBody(t *testing.T) {
	t.Parallel()
	caddy := caddytest.StartSecure(t, `
https://{$TLS_SITE} {
	parker_publish {
		token secret
	}
}
http://{$SITE} {
}
`, "")
	for _, protocol := range []caddytest.Protocol{caddytest.HTTP2, caddytest.HTTP3} {
		body, pipe := io.Pipe()
		t.Cleanup(func() { pipe.Close() })
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+caddy.TLSSite+"/news", body)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := caddy.Client(t, protocol).Transport.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", protocol, err)
			continue
		}
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: the publish was answered %+v", protocol, answer)
		}
		answer.Body.Close()
	}
}
