package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// twoHosts is one site block for two hosts. In a Caddyfile, as in JSON, they can share
// channels, which shows only in their requests.
const twoHosts = `
http://{$SITE} {
}
http://a.test:{$PORT}, http://b.test:{$PORT} {
	parker_notify /messages {
		#
	}
	parker /messages {
		#
	}
	reverse_proxy {$BACKEND}
}
`

func TestMistakesWarnOfHostsSharingPathChannel(t *testing.T) {
	t.Parallel()
	for word, warned := range map[string]int{"#": 1, "across_sites": 0} {
		for form, start := range forms {
			t.Run(fmt.Sprint(form, " with ", word), func(t *testing.T) {
				t.Parallel()
				backend := caddytest.Serve(t, func(http.ResponseWriter, *http.Request) {})
				site := caddytest.FreePorts(t, 1)[0]
				caddy := start(t, strings.ReplaceAll(twoHosts, "#", word), backend, "PORT="+port(site))
				caddy.AwaitServing(t, site)
				poll := func(method, host string) {
					t.Helper()
					r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+site+"/messages", nil)
					r.Host = host
					r.Header.Set("Prefer", "wait=0")
					answer, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					answer.Body.Close()
				}
				poll(http.MethodGet, "a.test:80")
				poll(http.MethodGet, "A.test")
				poll(http.MethodPost, "a.test")
				expectLogged(t, caddy, "one channel", 0)
				poll(http.MethodPost, "b.test")
				expectLogged(t, caddy, "write for one host wakes requests for another host", warned)
				poll(http.MethodGet, "b.test")
				poll(http.MethodGet, "a.test")
				expectLogged(t, caddy, "requests for two hosts wait on one channel", warned)
			})
		}
	}
}
