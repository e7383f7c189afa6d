package caddytest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Raw is a client that writes raw HTTP/1.1, valid or not.
type Raw struct {
	*net.TCPConn

	reader *bufio.Reader
}

// DialRaw connects to an address. The connection is closed when the test ends.
func DialRaw(t testing.TB, address string) *Raw {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(Patience))
	return &Raw{TCPConn: conn.(*net.TCPConn), reader: bufio.NewReader(conn)}
}

// Send writes the text. It ignores errors, which show in the answer.
func (r *Raw) Send(text string) { _, _ = io.WriteString(r, text) }

// Answer reads the next answer. Its Err is set if there is none, or not a complete one.
func (r *Raw) Answer() Answer {
	answer, err := http.ReadResponse(r.reader, nil)
	if err != nil {
		return Answer{Err: err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return Answer{answer.StatusCode, answer.Header, string(text), err}
}

// Rest returns everything that the server sends until it closes the connection.
func (r *Raw) Rest(t testing.TB) string {
	t.Helper()
	text, err := io.ReadAll(r.reader)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %q", text)
	}
	return string(text)
}

// Drip sends a byte from time to time until the server closes the connection or stop is
// closed. It reports whether the server closed it.
func (r *Raw) Drip(stop <-chan struct{}) (cut bool) {
	drip := time.NewTicker(20 * time.Millisecond)
	defer drip.Stop()
	for {
		select {
		case <-stop:
			return false
		case <-drip.C:
			if _, err := r.Write([]byte("a")); err != nil {
				return true
			}
		}
	}
}

// RawBackend reads raw requests and gives each the same answer.
type RawBackend struct {
	// Address is the host and port of the backend.
	Address string

	mu     sync.Mutex // guards answer and seen
	answer string
	seen   []RawRequest
}

// RawRequest is a request as it was sent, with its chunks joined.
type RawRequest struct {
	Head    string // up to the empty line
	Body    string
	Trailer string // the fields after the chunks, without those that frame a message
	Err     error  // why the request is invalid
}

// Line returns the request line.
func (r RawRequest) Line() string {
	line, _, _ := strings.Cut(r.Head, "\r\n")
	return line
}

// Lines returns the values of the fields with the name.
func (r RawRequest) Lines(name string) (values []string) {
	for line := range strings.SplitSeq(r.Head, "\r\n") {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(field, name) {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// NewRawBackend starts a RawBackend that writes answer to each request and runs until
// the test ends.
func NewRawBackend(t testing.TB, answer string) *RawBackend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	b := &RawBackend{Address: listener.Addr().String(), answer: answer}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

// Say changes the answer.
func (b *RawBackend) Say(answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// Seen returns the requests since the last call.
func (b *RawBackend) Seen() []RawRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}

// serve answers the requests on one connection and records them.
func (b *RawBackend) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		request := readRaw(reader)
		if request.Head == "" {
			return
		}
		b.mu.Lock()
		b.seen = append(b.seen, request)
		answer := b.answer
		b.mu.Unlock()
		if _, err := io.WriteString(conn, answer); err != nil || request.Err != nil {
			return
		}
	}
}

// readRaw reads a request strictly: anything ambiguous is an error.
func readRaw(reader *bufio.Reader) (r RawRequest) {
	var head strings.Builder
	for {
		line, err := reader.ReadString('\n')
		if err != nil || line == "\r\n" {
			r.Head, r.Err = head.String(), err
			break
		}
		head.WriteString(line)
	}
	if r.Err != nil {
		return r
	}
	lengths, codings := r.Lines("Content-Length"), r.Lines("Transfer-Encoding")
	switch {
	case len(lengths)+len(codings) > 1:
		r.Err = errors.New("its length is given twice")
	case len(codings) == 1 && codings[0] != "chunked":
		r.Err = errors.New("its coding is " + codings[0])
	case len(codings) == 1:
		r.Body, r.Trailer, r.Err = readChunks(reader)
	case len(lengths) == 1:
		var n uint64
		if n, r.Err = strconv.ParseUint(lengths[0], 10, 31); r.Err == nil {
			body := make([]byte, n)
			_, r.Err = io.ReadFull(reader, body)
			r.Body = string(body)
		}
	}
	return r
}

func readChunks(reader *bufio.Reader) (body, trailer string, err error) {
	var text bytes.Buffer
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return text.String(), "", err
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(line, "\r\n"), 16, 31)
		if err != nil {
			return text.String(), "", err
		}
		if n == 0 {
			trailer, err := readTrailer(reader)
			return text.String(), trailer, err
		}
		if _, err := io.CopyN(&text, reader, int64(n)); err != nil {
			return text.String(), "", err
		}
		if end, err := reader.ReadString('\n'); err != nil || end != "\r\n" {
			return text.String(), "", errors.Join(errors.New("a chunk does not end where it should"), err)
		}
	}
}

func readTrailer(reader *bufio.Reader) (trailer string, err error) {
	for {
		line, err := reader.ReadString('\n')
		if err != nil || line == "\r\n" {
			return trailer, err
		}
		if name, _, _ := strings.Cut(line, ":"); name != "Content-Length" && name != "Transfer-Encoding" {
			trailer += line
		}
	}
}
