package hook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

func TestHookReadsEventFieldsFromHeader(t *testing.T) {
	const clamped = (1 << 31) * time.Second
	for _, c := range []struct {
		field, value string
		event, id    string
		lifetime     time.Duration
	}{
		{"Parker-Event", "news", "news", "", 0},
		{"parker-event", "Zürich ☕", "Zürich ☕", "", 0},
		{"Parker-Event", strings.Repeat("x", 255), strings.Repeat("x", 255), "", 0},
		{"Parker-Event", "", "", "", 0},
		{"Parker-Id", "order 7/a", "", "order 7/a", 0},
		{"Parker-Id", "ü", "", "ü", 0},
		{"Parker-Id", strings.Repeat("x", 255), "", strings.Repeat("x", 255), 0},
		{"Parker-Expires", "0", "", "", -1},
		{"Parker-Expires", "000", "", "", -1},
		{"Parker-Expires", "0.5", "", "", 500 * time.Millisecond},
		{"Parker-Expires", "1", "", "", time.Second},
		{"Parker-Expires", "0060", "", "", time.Minute},
		{"Parker-Expires", "2147483647", "", "", clamped - time.Second},
		{"Parker-Expires", "2147483649", "", "", clamped},
		{"Parker-Expires", "9223372036854775807", "", "", clamped},
		{"Parker-Expires", strings.Repeat("9", 100), "", "", clamped},
		{"X-Other", "a", "", "", 0},
	} {
		board := &memoryBoard{}
		response, body := call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/a", "hello", c.field, c.value)
		events := board.published()
		if response.StatusCode != 200 || len(events) != 1 {
			t.Fatalf("%s: %q: status %d: %s", c.field, c.value, response.StatusCode, body)
		}
		if p := events[0]; p.Message.Type != c.event || p.ID != c.id || p.Lifetime != c.lifetime {
			t.Errorf("%s: %q was published as %+v of type %q", c.field, c.value, p, p.Message.Type)
		}
	}
}

func TestHookReadsIDAndLifetimeOfWakeUp(t *testing.T) {
	board := &memoryBoard{}
	call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/a", "", "Parker-Id", "x", "Parker-Expires", "3")
	if events := board.published(); len(events) != 1 || events[0].Message != nil || events[0].ID != "x" || events[0].Lifetime != 3*time.Second {
		t.Errorf("published %+v", events)
	}
}

func TestHookAnswersDuplicateID(t *testing.T) {
	server := serveLoopback(t, &memoryBoard{waiting: []lot.ChannelWaiting{{Channel: "a", Waiting: lot.Waiting{Requests: 2}}}})
	for _, want := range []string{
		`{"channel":"a","position":"parker.e-1","released":2}` + "\n",
		`{"channel":"a","position":"parker.e-1","released":0,"duplicate":true}` + "\n",
	} {
		response, body := call(t, http.DefaultClient, "POST", server+"/a", "hello", "Parker-Id", "x")
		if response.StatusCode != 200 || body != want {
			t.Errorf("status %d, %s, want %s", response.StatusCode, body, want)
		}
	}
}

func TestHookRefusesRepeatedField(t *testing.T) {
	for _, field := range []string{"Parker-Event", "Parker-Expires", "Parker-Id"} {
		board := &memoryBoard{}
		response := raw(t, board, "POST /a HTTP/1.1\r\nHost: a\r\n"+field+": 1\r\n"+strings.ToLower(field)+": 1\r\nContent-Length: 1\r\n\r\nx")
		if response.StatusCode != 400 || len(board.published()) != 0 {
			t.Errorf("%s twice: status %d, published %v", field, response.StatusCode, board.published())
		}
	}
}

// TestHookRefusesControlCharactersInTypeAndID, whatever a server lets through.
func TestHookRefusesControlCharactersInTypeAndID(t *testing.T) {
	for _, field := range []string{"Parker-Event", "Parker-Id"} {
		for _, value := range []string{"a\rdata: b", "a\ndata: b", "a\r\n\r\n", "a\x00", "\x7f", "\u0085"} {
			board := &memoryBoard{}
			r := httptest.NewRequest("POST", "/a", strings.NewReader("x"))
			r.RemoteAddr = "127.0.0.1:1"
			r.Header[field] = []string{value}
			w := httptest.NewRecorder()
			newHook(t, board, nil, nil).ServeHTTP(w, r)
			if w.Code != 400 || len(board.published()) != 0 {
				t.Errorf("%s: %q: status %d, published %v", field, value, w.Code, board.published())
			}
			checkProblem(t, w.Code, w.Header(), w.Body.String())
		}
	}
}
