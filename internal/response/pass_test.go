package response

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPassingRecordsStatusHoweverTheAnswerBegins(t *testing.T) {
	for name, test := range map[string]struct {
		route func(w http.ResponseWriter)
		want  int
	}{
		"nothing":                   {func(http.ResponseWriter) {}, 0},
		"a header":                  {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) }, http.StatusTeapot},
		"an informational header":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) }, 0},
		"another protocol":          {func(w http.ResponseWriter) { w.WriteHeader(http.StatusSwitchingProtocols) }, http.StatusSwitchingProtocols},
		"a write":                   {func(w http.ResponseWriter) { io.WriteString(w, "a") }, http.StatusOK},
		"a flush":                   {func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }, http.StatusOK},
		"a copy":                    {func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("a")) }, http.StatusOK},
		"a header after a late one": {func(w http.ResponseWriter) { io.WriteString(w, "a"); w.WriteHeader(http.StatusTeapot) }, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			p := Pass(httptest.NewRecorder(), get(), Options{})
			test.route(p)
			if got := p.Status(); got != test.want {
				t.Errorf("the status is %d, want %d", got, test.want)
			}
		})
	}
}

func TestPassingTakesChannelsFromEveryHeader(t *testing.T) {
	client := &headers{ResponseRecorder: httptest.NewRecorder()}
	p := Pass(client, get(), Options{TakeChannels: true})
	p.Header().Set("Parker-Publish", "early")
	p.WriteHeader(http.StatusEarlyHints)
	p.Header()["Parker-Publish"] = []string{"a, b", "c"}
	p.WriteHeader(http.StatusOK)
	if got := p.Channels(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the channels are %q", got)
	}
	if len(client.sent) != 2 || client.sent[0].Get("Parker-Publish")+client.sent[1].Get("Parker-Publish") != "" {
		t.Errorf("the client got %v", client.sent)
	}
}

// headers is a client's writer that keeps each header as it is sent.
type headers struct {
	*httptest.ResponseRecorder
	sent []http.Header
}

func (h *headers) WriteHeader(status int) {
	h.sent = append(h.sent, h.Header().Clone())
	h.ResponseRecorder.WriteHeader(status)
}

func TestPassingAddsPositionThoughTheRouteReplacesTheHeader(t *testing.T) {
	client := httptest.NewRecorder()
	p := Pass(client, get(), Options{Position: "e-7"})
	if got := client.Header().Get("Parker-Position"); got != "e-7" {
		t.Errorf("before the answer, the position is %q", got)
	}
	clear(p.Header())
	io.WriteString(p, "a")
	if got := client.Result().Header.Get("Parker-Position"); got != "e-7" {
		t.Errorf("the answer has the position %q", got)
	}
}

func TestPassingThatLingersHidesThatTheClientHasLeft(t *testing.T) {
	for _, lingers := range []bool{true, false} {
		m := newMemory()
		gone := errors.New("gone")
		writes := 0
		m.accept = func() error { writes++; return gone }
		p := Pass(m, get(), Options{Linger: lingers})
		var want error
		wantN, wantWrites := 1, 1
		if !lingers {
			want, wantN, wantWrites = gone, 0, 3
		}
		for range 2 {
			if n, err := p.Write([]byte("a")); n != wantN || !errors.Is(err, want) {
				t.Errorf("lingering %v: the write returned %d, %v", lingers, n, err)
			}
		}
		if n, err := p.ReadFrom(strings.NewReader("b")); n != int64(wantN) || !errors.Is(err, want) {
			t.Errorf("lingering %v: the copy returned %d, %v", lingers, n, err)
		}
		if err := p.FlushError(); err != nil {
			t.Errorf("lingering %v: the flush returned %v", lingers, err)
		}
		if writes != wantWrites {
			t.Errorf("lingering %v: %d writes reached the client", lingers, writes)
		}
	}
}

func TestPassingWritesToTheWriterOfItsAttendant(t *testing.T) {
	m := newMemory()
	m.header = stream()
	p := Pass(m, get(), Options{Attend: func(client http.ResponseWriter, r *http.Request, status int) *Live {
		limits := LimitsOf(client, r)
		return Attend(client, r, &limits, status, time.Hour)
	}})
	defer p.Close()
	io.WriteString(p, "data: a\n\n")
	if got := m.got(); len(got) != 2 || !strings.HasSuffix(got[1], "data: a\n\n") {
		t.Errorf("the client got %q, want the header and the write at once", got)
	}
}

func TestWritersSupportResponseController(t *testing.T) {
	for name, wrap := range map[string]func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()){
		"Pass": func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
			p := Pass(w, r, Options{Position: "e-7", TakeChannels: true, Linger: true})
			return p, p.Close
		},
		"Attend": func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
			w.Header().Set("Content-Type", "text/event-stream")
			limits := LimitsOf(w, r)
			live := Attend(w, r, &limits, http.StatusOK, time.Hour)
			return live, live.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(client http.ResponseWriter, r *http.Request) {
				w, end := wrap(client, r)
				defer end()
				controller := http.NewResponseController(w)
				for method, err := range map[string]error{
					"EnableFullDuplex": controller.EnableFullDuplex(),
					"SetReadDeadline":  controller.SetReadDeadline(time.Now().Add(time.Hour)),
					"SetWriteDeadline": controller.SetWriteDeadline(time.Now().Add(time.Hour)),
					"Flush":            controller.Flush(),
				} {
					if err != nil {
						t.Errorf("%s: %v", method, err)
					}
				}
				if _, ok := w.(io.ReaderFrom); !ok {
					t.Error("there is no ReadFrom")
				}
				if unwrapped := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap(); unwrapped != client {
					t.Errorf("Unwrap returned %v", unwrapped)
				}
				conn, _, err := controller.Hijack()
				if err != nil {
					t.Errorf("Hijack: %v", err)
					return
				}
				conn.Close()
			}))
			defer server.Close()
			answer, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
		})
	}
}
