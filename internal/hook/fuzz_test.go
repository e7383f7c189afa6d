package hook

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/lot"
)

// FuzzHook sends whatever net/http reads as a request to an open hook and to one
// that asks for a token.
func FuzzHook(f *testing.F) {
	f.Add("POST", "/rooms/7", "Content-Length: 5\r\n", "hello")
	f.Add("PUT", "/?channel=a", "Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n", "5\r\nhello\r\n0\r\n\r\n")
	f.Add("POST", "/a%0d%0a?channel=%ff", "Authorization: Bearer t0ken\r\n", "x")
	f.Add("POST", "/a", "Content-Type: text/plain; a=\"\x01\"\r\nContent-Length: 9\r\n", "short")
	f.Add("POST", "/a", "Parker-Event: news\r\nParker-Expires: 99999999999999999999\r\nParker-Id: a-1\r\n", "x")
	f.Add("POST", "/a", "Parker-Expires: 0\r\nparker-expires: 1\r\n", "")
	f.Add("PUT", "/a", "Parker-Event: \xc2\x85\r\nParker-Id: \xe2\x80\x8b\r\n", "x")
	f.Add("GET", "/?after=a&limit=1", "", "")
	f.Add("HEAD", "//a", "Authorization: bearer\r\n", "")
	f.Add("OPTIONS", "*", "Origin: http://a\r\nSec-Fetch-Site: cross-site\r\n", "")
	f.Add("CONNECT", "a:1", "", strings.Repeat("x", maxMessage+1))
	f.Fuzz(func(t *testing.T, method, target, fields, body string) {
		for _, tokens := range [][]string{nil, {"t0ken"}} {
			wire := method + " " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
			if err != nil {
				t.Skip()
			}
			if r.Body == http.NoBody { // as if the length were unknown
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			}
			r.RemoteAddr = "127.0.0.1:1"
			board := &memoryBoard{waiting: []lot.ChannelWaiting{{Channel: "a", Waiting: lot.Waiting{}}, {Channel: "rooms/7", Waiting: lot.Waiting{}}}}
			w := httptest.NewRecorder()
			newHook(t, board, tokens, nil).ServeHTTP(w, r)
			if w.Code >= 400 {
				checkProblem(t, w.Code, w.Header(), w.Body.String())
			} else if w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			for _, event := range board.published() {
				checkEvent(t, event)
				if tokens != nil && !strings.HasSuffix(r.Header.Get("Authorization"), "t0ken") {
					t.Fatalf("published without the token: %v", event)
				}
			}
			if (r.Method == "POST" || r.Method == "PUT") != (len(board.published()) == 1) && w.Code == 200 {
				t.Fatalf("%s published %v", r.Method, board.published())
			}
		}
	})
}

func checkEvent(t *testing.T, event brokers.Publication) {
	t.Helper()
	if len(event.ID) > 255 || !utf8.ValidString(event.ID) || strings.ContainsFunc(event.ID, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("published with the ID %q", event.ID)
	}
	if event.Lifetime < -1 || event.Lifetime%time.Millisecond != 0 && event.Lifetime != -1 {
		t.Fatalf("published for %s", event.Lifetime)
	}
	if err := brokers.CheckChannel(event.Channel); err != nil {
		t.Fatalf("published on %q: %v", event.Channel, err)
	}
	m := event.Message
	if m == nil {
		return
	}
	if len(m.Body) == 0 || len(m.Body) > maxMessage {
		t.Fatalf("published %d bytes", len(m.Body))
	}
	if len(m.Type) > 255 || !utf8.ValidString(m.Type) || strings.ContainsFunc(m.Type, unicode.IsControl) {
		t.Fatalf("published with the type %q", m.Type)
	}
	if _, _, err := mime.ParseMediaType(m.ContentType); err != nil || len(m.ContentType) > 255 || strings.ContainsFunc(m.ContentType, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("published as %q: %v", m.ContentType, err)
	}
}
