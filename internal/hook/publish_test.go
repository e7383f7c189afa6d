package hook

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/lot"
)

func TestHookPublishesOnChannel(t *testing.T) {
	for _, method := range []string{"POST", "PUT"} {
		for target, channel := range map[string]string{
			"/rooms/7":                           "rooms/7",
			"/rooms/7/":                          "rooms/7/",
			"//rooms/7":                          "/rooms/7",
			"/rooms/../7":                        "rooms/../7",
			"/a%2Fb%2520c":                       "a/b%20c",
			"/Z%C3%BCrich%20%E2%98%95":           "Zürich ☕",
			"/?channel=/awkward%3F":              "/awkward?",
			"/ignored?channel=named":             "named",
			"/a?other=b":                         "a",
			"/%3Cb%3E&%E2%80%A8":                 "<b>&\u2028",
			"/" + strings.Repeat("x", 255):       strings.Repeat("x", 255),
			"/?channel=a%2Bb+c%26channel%3Ddone": "a+b c&channel=done",
		} {
			board := &memoryBoard{}
			response, body := call(t, http.DefaultClient, method, serveLoopback(t, board)+target, "")
			events := board.published()
			if response.StatusCode != 200 || len(events) != 1 || events[0].Channel != channel {
				t.Errorf("%s %s: status %d, published %v, want %q: %s", method, target, response.StatusCode, events, channel, body)
			}
			checkCommon(t, response.Header)
		}
	}
}

func TestHookAnswersPublishWithPositionAndReleased(t *testing.T) {
	board := &memoryBoard{waiting: []lot.ChannelWaiting{{Channel: "<rooms>/7", Waiting: lot.Waiting{Requests: 3}}}}
	response, body := call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/%3Crooms%3E/7", "hello")
	if want := `{"channel":"<rooms>/7","position":"parker.e-1","released":3}` + "\n"; body != want {
		t.Errorf("the answer is %s, want %s", body, want)
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("the answer has Content-Type %q", got)
	}
}

func TestHookPublishesWakeUpWithoutBody(t *testing.T) {
	board := &memoryBoard{}
	call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/a", "", "Content-Type", "application/json")
	if events := board.published(); len(events) != 1 || events[0].Message != nil {
		t.Errorf("published %v", events)
	}
}

func TestHookTakesContentTypeOrDetectsIt(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct{ declared, body, want string }{
		{"", `{"a":1}`, "application/json"},
		{"", " [] \n", "application/json"},
		{"", "hello", "text/plain; charset=utf-8"},
		{"", " ", "text/plain; charset=utf-8"},
		{form, `{"a":1}`, "application/json"},
		{form + "; charset=UTF-8", "a=1", "text/plain; charset=utf-8"},
		{"Application/X-WWW-Form-URLEncoded", "a=1", "text/plain; charset=utf-8"},
		{"text/html", "[]", "text/html"},
		{"application/json;charset=UTF-8", "not checked", "application/json;charset=UTF-8"},
		{`multipart/mixed; boundary="a b"`, "x", `multipart/mixed; boundary="a b"`},
	} {
		board := &memoryBoard{}
		response, body := call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/a", c.body, "Content-Type", c.declared)
		events := board.published()
		if response.StatusCode != 200 || len(events) != 1 {
			t.Fatalf("%q %q: status %d: %s", c.declared, c.body, response.StatusCode, body)
		}
		if m := events[0].Message; m == nil || m.ContentType != c.want || string(m.Body) != c.body {
			t.Errorf("%q %q became %+v, want the type %q", c.declared, c.body, m, c.want)
		}
	}
}

func TestHookRefusesControlCharactersInContentType(t *testing.T) {
	for _, declared := range []string{"text/plain\r\nSet-Cookie: a", "text/plain; a=\"\x00\"", "text/plain; a=\"\x7f\"", "text/plain;\ta=b"} {
		board := &memoryBoard{}
		r := httptest.NewRequest("POST", "/a", strings.NewReader("x"))
		r.RemoteAddr = "127.0.0.1:1"
		r.Header["Content-Type"] = []string{declared}
		w := httptest.NewRecorder()
		newHook(t, board, nil, nil).ServeHTTP(w, r)
		if w.Code != 400 || len(board.published()) != 0 {
			t.Errorf("%q: status %d, published %v", declared, w.Code, board.published())
		}
	}
}

func TestHookLimitsMessageSize(t *testing.T) {
	for _, c := range []struct{ size, want, published int }{
		{maxMessage, 200, 1},
		{maxMessage + 1, 413, 0},
	} {
		for _, length := range []int64{int64(c.size), -1} { // declared, chunked
			board := &memoryBoard{}
			body := io.NopCloser(strings.NewReader(strings.Repeat("x", c.size)))
			r, err := http.NewRequestWithContext(t.Context(), "POST", serveLoopback(t, board)+"/a", body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = length
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != c.want || len(board.published()) != c.published {
				t.Errorf("%d bytes, length %d: status %d, published %v", c.size, length, response.StatusCode, board.published())
			}
		}
	}
}

// raw sends bytes to the server of a hook, closes its sending side, and returns
// the answer.
func raw(t *testing.T, board Board, request string) *http.Response {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(serveLoopback(t, board), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestHookRefusesDeclaredLengthBeforeBody(t *testing.T) {
	// A server that began to read would first answer 100.
	response := raw(t, &memoryBoard{}, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\nExpect: 100-continue\r\n\r\n")
	if response.StatusCode != 413 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestHookIgnoresBrokenBody(t *testing.T) {
	for _, rest := range []string{
		"Content-Length: 10\r\n\r\nshort",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"Transfer-Encoding: chunked\r\n\r\nbroken",
	} {
		board := &memoryBoard{}
		response := raw(t, board, "POST /a HTTP/1.1\r\nHost: a\r\n"+rest)
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 400 || len(board.published()) != 0 {
			t.Fatalf("%q: status %d, published %v", rest, response.StatusCode, board.published())
		}
		checkProblem(t, 400, response.Header, string(body))
	}
}

func TestHookPublishesForClientThatLeft(t *testing.T) {
	board := &memoryBoard{}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, "POST", "/a", strings.NewReader("x"))
	r.RemoteAddr = "127.0.0.1:1"
	newHook(t, board, nil, nil).ServeHTTP(httptest.NewRecorder(), r)
	if len(board.published()) != 1 {
		t.Error("what a client sent before it left was not published")
	}
}

func TestHookAnswers503WithoutBrokersError(t *testing.T) {
	board := &memoryBoard{fail: errors.New("dial redis://:passw0rd@db")}
	response, body := call(t, http.DefaultClient, "POST", serveLoopback(t, board)+"/a", "x")
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "5" {
		t.Fatalf("status %d: %s", response.StatusCode, body)
	}
	checkProblem(t, 503, response.Header, body)
	if strings.Contains(body, "passw0rd") {
		t.Errorf("the answer tells the broker's error: %s", body)
	}
}
