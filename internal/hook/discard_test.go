package hook

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// refusing is a server of a hook that admits no token that the tests know. over counts
// the requests that have been served.
func refusing(t *testing.T) (address string, over *sync.WaitGroup) {
	hook, over := newHook(t, new(memoryBoard), []string{"secret"}, nil), new(sync.WaitGroup)
	over.Add(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer over.Done()
		hook.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), over
}

// begin sends the header of a publish, with the lines given, and returns the
// connection.
func begin(t *testing.T, address, lines string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "POST /a HTTP/1.1\r\nHost: a\r\n%s\r\n", lines)
	return conn
}

func TestDiscardReadsBodyAfterRefusal(t *testing.T) {
	for _, body := range []struct{ lines, text string }{
		{"Content-Length: 3000000\r\n", strings.Repeat("x", 3_000_000)},
		{"Transfer-Encoding: chunked\r\n", "2dc6c0\r\n" + strings.Repeat("x", 3_000_000) + "\r\n0\r\n\r\n"},
	} {
		address, over := refusing(t)
		conn := begin(t, address, body.lines)
		reader := bufio.NewReader(conn)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil || answer.StatusCode != http.StatusUnauthorized || !answer.Close {
			t.Fatalf("%s was answered %+v, %v", body.lines, answer, err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		checkProblem(t, answer.StatusCode, answer.Header, string(text))
		if _, err := io.WriteString(conn, body.text); err != nil {
			t.Errorf("%s: the body was not taken: %v", body.lines, err)
		}
		over.Wait()
		if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
			t.Errorf("%s: the connection ends with %q, %v", body.lines, rest, err)
		}
	}
}

func TestDiscardReadsLimitedPartOfBody(t *testing.T) {
	address, over := refusing(t)
	conn := begin(t, address, "Content-Length: 1000000000\r\n")
	// Behind the bound, what the sockets hold is still taken.
	const buffers = 64 << 20
	sent, err := io.CopyN(conn, zeros{}, maxDiscarded+buffers)
	if err == nil || sent < maxDiscarded {
		t.Errorf("%d bytes were taken, and then %v", sent, err)
	}
	over.Wait()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestDiscardGivesUpSlowBody(t *testing.T) {
	address, over := refusing(t)
	conn := begin(t, address, "Content-Length: 1000000000\r\n")
	end := make(chan struct{})
	go func() {
		over.Wait()
		close(end)
	}()
	for drip := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-end:
			return
		case <-drip.C:
			// An error means that the end is near.
			_, _ = conn.Write([]byte("x"))
		case <-t.Context().Done():
			return
		}
	}
}

func TestDiscardIgnoresHTTP2(t *testing.T) {
	hook := newHook(t, new(memoryBoard), []string{"secret"}, nil)
	server := httptest.NewUnstartedServer(hook)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	body, pipe := io.Pipe()
	defer pipe.Close()
	answer, err := server.Client().Post(server.URL+"/a", "", body)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body) // though the body never comes
	if err != nil || answer.ProtoMajor != 2 || answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Connection") != "" {
		t.Errorf("it was answered %+v, %v", answer, err)
	}
	checkProblem(t, answer.StatusCode, answer.Header, string(text))
}
