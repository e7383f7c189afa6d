package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestCommandAcceptsAdminAddressAsURL(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, nothingNew(t))
	socket := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(caddy.Admin(), "unix/"))
	}}
	address := caddytest.Serve(t, (&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "admin"
			r.Out.Header.Del("Origin") // it names this proxy, which the socket does not accept
		},
		Transport: socket,
	}).ServeHTTP)
	for _, given := range []string{address, "http://" + address, "http://" + address + "/"} {
		if answer, trouble, code := parker(t, caddy, "", "publish", "news", "--address", given); code != 0 || !strings.Contains(answer, `"channel":"news"`) {
			t.Errorf("%s: code %d, %s %s", given, code, answer, trouble)
		}
	}
	for _, given := range []string{"https://" + address, "http://" + address + "/parker/", "localhost"} {
		for _, command := range [][]string{{"publish", "news"}, {"status"}} {
			if _, trouble, code := parker(t, caddy, "", append(command, "--address", given)...); code != 1 || !strings.Contains(trouble, "for example localhost:2019") {
				t.Errorf("%v at %s: code %d, %s", command, given, code, trouble)
			}
		}
	}
}
