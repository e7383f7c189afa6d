package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// outerSite has hooks on all addresses of the machine, and trusts proxies on each of
// them to name the client.
const outerSite = `
{
	{$GLOBAL}
	servers {
		trusted_proxies static 0.0.0.0/0 ::/0
	}
}
http://:{$OPEN_PORT} {
	handle_path /plain/* {
		parker_publish
	}
	handle_path /token/* {
		parker_publish {
			token s3cret-token
		}
	}
}
http://:{$TOKEN_PORT} {
	parker_publish {
		allow 0.0.0.0/0 ::/0
		token s3cret-token another
	}
}
http://{$SITE} {
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// startOuter starts outerSite and returns the ports of its hooks.
func startOuter(t *testing.T) (caddy *caddytest.Caddy, open, token string) {
	t.Helper()
	ports := caddytest.FreePorts(t, 2)
	_, open, _ = net.SplitHostPort(ports[0])
	_, token, _ = net.SplitHostPort(ports[1])
	caddy = caddytest.Start(t, outerSite, "127.0.0.1:1", "OPEN_PORT="+open, "TOKEN_PORT="+token)
	caddy.AwaitServing(t, ports...)
	return caddy, open, token
}

// otherAddresses returns the machine's addresses other than loopback. A connection to one of
// them also comes from it.
func otherAddresses(t *testing.T) (addresses []net.IP) {
	for _, address := range machineAddresses(t) {
		if !address.IsLoopback() {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) == 0 {
		t.Skip("this machine has only loopback addresses")
	}
	return addresses
}

func TestHookStaysClosedToForgedAddresses(t *testing.T) {
	t.Parallel()
	caddy, open, _ := startOuter(t)
	before := events(t, caddy)
	for _, address := range otherAddresses(t) {
		for _, header := range []string{
			"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ::1, 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "Client-IP: 127.0.0.1",
			"True-Client-IP: 127.0.0.1", "CF-Connecting-IP: 127.0.0.1", "X-Forwarded-Host: localhost", "X-Forwarded-Proto: unix", "Via: 1.1 localhost",
			"Origin: http://localhost", "Sec-Fetch-Site: same-origin", "Authorization: Bearer s3cret-token", "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("s3cret-token:s3cret-token")),
		} {
			for _, host := range []string{address.String(), "localhost", "127.0.0.1", "[::1]"} {
				for _, request := range []string{"POST /plain/news", "PUT /plain/news", "GET /plain/news", "GET /plain/", "HEAD /plain/", "POST /token/news"} {
					client := caddytest.DialRaw(t, net.JoinHostPort(address.String(), open))
					client.Send(fmt.Sprintf("%s HTTP/1.1\r\nHost: %s:%s\r\n%s\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", request, host, open, header))
					if answered := client.Rest(t); !strings.HasPrefix(answered, "HTTP/1.1 403 ") || strings.Contains(answered, "waiting") || strings.Contains(answered, "position") {
						t.Fatalf("%s at %s with %q was answered %s", request, address, header, answered)
					}
				}
			}
		}
	}
	if now := events(t, caddy); now != before {
		t.Errorf("there were %d events", now-before)
	}
}

func TestHookRequiresWholeToken(t *testing.T) {
	t.Parallel()
	caddy, _, port := startOuter(t)
	hosts := []string{"127.0.0.1"}
	for _, address := range machineAddresses(t) {
		hosts = append(hosts, address.String())
	}
	before := events(t, caddy)
	opened := 0
	for _, host := range hosts {
		target := "http://" + net.JoinHostPort(host, port) + "/news"
		for authorization, want := range map[string]int{
			"":                             401,
			"Bearer":                       401,
			"Bearer ":                      401,
			"Bearer s3cret":                401,
			"Bearer s3cret-toke":           401,
			"Bearer s3cret-token2":         401,
			"Bearer S3CRET-TOKEN":          401,
			"Bearer s3cret-token another":  401,
			"Bearer s3cret-token,another":  401,
			"Bearer \"s3cret-token\"":      401,
			"Bearer token=s3cret-token":    401,
			"Bearer s3cret-token\tanother": 401,
			"Bearer Bearer s3cret-token":   401,
			"Basic s3cret-token":           401,
			"s3cret-token":                 401,
			"Token s3cret-token":           401,
			"Bearers3cret-token":           401,
			"Bearer {env.HOOK}":            401,
			"Bearer s3cret-token":          200,
			"bEARER  another ":             200,
		} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet} {
				g := caddytest.Do(t.Context(), method, target, "", "Authorization: "+authorization)
				if g.Status != want || want == 401 && strings.Contains(g.Body, "s3cret") {
					t.Errorf("%s %s with %q was answered %+v, want %d", method, target, authorization, g, want)
				}
				if want == 200 && method != http.MethodGet {
					opened++
				}
			}
		}
		for _, query := range []string{"?token=s3cret-token", "?access_token=s3cret-token", "?authorization=Bearer%20s3cret-token"} {
			if g := caddytest.Do(t.Context(), http.MethodPost, target+query, "access_token=s3cret-token", "Cookie: token=s3cret-token", "Proxy-Authorization: Bearer s3cret-token"); g.Status != 401 {
				t.Errorf("%s%s was answered %+v", target, query, g)
			}
		}
		// Of two tokens, the first counts.
		if g := caddytest.Do(t.Context(), http.MethodPost, target, "", "Authorization: Bearer wrong", "Authorization: Bearer s3cret-token"); g.Status != 401 {
			t.Errorf("two tokens were answered %+v", g)
		}
	}
	if now := events(t, caddy); now-before != opened {
		t.Errorf("there were %d events, want %d", now-before, opened)
	}
	if log := caddy.Stderr.String(); strings.Contains(log, "s3cret-token") {
		t.Errorf("the token is in the log: %s", log)
	}
}
