package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// notHeld are polls whose answers are not nothing new and are passed on.
var notHeld = []struct {
	name, route string
	poll        poll
	given       fields
}{
	{
		name: "forward_auth inside refuses",
		route: `
			parker
			route {
				forward_auth {$AUTH} {
					uri /check
				}
				reverse_proxy {$BACKEND}
			}`,
		given: fields{":status": "401", ":body": "not you", "Set-Cookie": "login=1"},
	},
	{
		name: "the backend is down, and handle_errors says so",
		route: `
			parker
			route {
				vars room {query.room}
				rewrite * /elsewhere
				reverse_proxy {$DOWN}
			}
			handle_errors 5xx {
				header X-Error {err.status_code}
				header X-Method {method}
				respond "[]{uri} {vars.room} {err.status_text}" 200
			}`,
		poll:  poll{line: "GET /messages?room=7"},
		given: fields{":status": "200", ":body": "[]/messages?room=7 7 Bad Gateway", "X-Error": "502"},
	},
	{
		name: "handle_errors asks another backend, with the body",
		route: `
			parker {
				methods POST
			}
			reverse_proxy {$DOWN}
			handle_errors {
				request_header X-Error {err.status_code}
				reverse_proxy {$ECHO}
			}`,
		poll:  poll{line: "POST /messages", body: `{"since":0}`},
		given: fields{":status": "200", "X-Error": "502"},
	},
	{
		name: "error inside",
		route: `
			parker
			route {
				header X-Inside yes
				error "no such room" 404
			}
			handle_errors {
				respond {err.message} {err.status_code}
			}`,
		given: fields{":status": "404", ":body": "no such room", "X-Inside": "yes"},
	},
	{
		name: "abort inside",
		route: `
			parker
			route {
				abort
			}`,
		given: fields{":status": ""},
	},
	{
		name: "a body that request_body inside does not take",
		route: `
			parker {
				methods POST
			}
			route {
				request_body {
					max_size 10
				}
				reverse_proxy {$ECHO}
			}`,
		poll:  poll{line: "POST /messages", body: `{"since":0}`},
		given: fields{":status": "413"},
	},
	{
		name: "a method that became another",
		route: `
			method POST
			parker
			respond "[]"`,
		given: fields{":status": "200", ":body": "[]"},
	},
	{
		name: "a part of a file",
		route: `
			root {$FILES}
			parker
			encode gzip
			file_server`,
		poll:  poll{line: "GET /big.txt", header: []string{"Range: bytes=10-13", "Accept-Encoding: gzip"}},
		given: fields{":status": "206", "Content-Range": "bytes 10-13/1000000", "Content-Length": "4", ":body": "0123"},
	},
	{
		name: "a template that fails",
		route: `
			root {$FILES}
			parker
			templates
			file_server`,
		poll:  poll{line: "GET /wrong.html"},
		given: fields{":status": "500"},
	},
}

func TestRoutesPassOnUnheldAnswersAsWithoutParker(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	write(t, filepath.Join(files, "big.txt"), strings.Repeat("0123456789", 100_000))
	write(t, filepath.Join(files, "wrong.html"), "{{nonsense}}")
	auth := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "login=1")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, "not you")
	})
	echo := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Error", r.Header.Get("X-Error"))
		r.Write(w)
	})
	var routes []string
	for _, c := range notHeld {
		routes = append(routes, c.route)
	}
	pair := startPair(t, routes, echo, "AUTH="+auth, "SECRET="+secret, "ECHO="+echo, "DOWN="+caddytest.FreePorts(t, 1)[0], "FILES="+files)
	for i, c := range notHeld {
		t.Run(c.name, func(t *testing.T) {
			given := pair.parked(t, i, c.poll)
			compare(t, "the answer", given.unvaried().without("Parker-Status"), pair.bare(t, i, c.poll))
			check(t, "the client got", given, c.given)
			if status := given["Parker-Status"]; status != "" && !strings.Contains(status, "; release=none") {
				t.Errorf("Parker-Status is %q", status)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
