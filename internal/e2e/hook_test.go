package e2e

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestHookAllowsUnixSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "hook")
	caddy, backend := startScripted(t, withHook("parker\nreverse_proxy {$BACKEND}")+"http://hook.internal {\nbind unix/{$SOCKET}\nparker_publish {\nallow 192.0.2.1\n}\n}\n", "SOCKET="+socket)
	caddytest.Await(t, "Caddy listens at its socket", func() bool { return listens(socket) })
	transport := &http.Transport{DialContext: dialAt("unix", socket)}
	defer transport.CloseIdleConnections()
	parked := park(t, caddy, backend, "/a")
	if g := caddytest.DoWith(t.Context(), transport, http.MethodPut, "http://hook.internal/a", "hello"); g.Status != 200 {
		t.Errorf("the socket was answered %+v", g)
	}
	expect(t, "hello", "message", parked)
}

// dialAt returns a dial function that always connects to one address.
func dialAt(network, address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

func TestHookPublishesOnChannelOfURL(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, withHook("handle_path /hook/* {\nparker_publish\n}\nparker\nreverse_proxy {$BACKEND}"))
	for path, channel := range map[string]string{
		"/hook/rooms%2F7%20b":                 "rooms/7 b",
		"/hook/100%2525":                      "100%25",
		"/hook/gr%C3%BC%C3%9Fe":               "grüße",
		"/hook//x":                            "x", // handle_path takes off /hook/, and a slash is left
		"/hook/other?channel=a%20%26%20b":     "a & b",
		"/hook/?channel=x%2F..%2F%2Fy%3Fz%23": "x/..//y?z#",
	} {
		parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/"+url.PathEscape(channel))
		backend.Next(t).Answer(http.StatusOK, "[]")
		caddy.AwaitWaiting(t, "?channel="+url.QueryEscape(channel), 1)
		if g := caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+path, "hello"); g.Status != 200 || !strings.Contains(g.Body, `"released":1`) {
			t.Errorf("%s was answered %+v, want the channel %s", path, g, channel)
		}
		expect(t, "hello", "message", parked)
	}
}

// machineAddresses returns the addresses of this machine. A connection to one of them
// also comes from it.
func machineAddresses(t *testing.T) []net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var addresses []net.IP
	for _, address := range all {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() {
			addresses = append(addresses, network.IP)
		}
	}
	return addresses
}
