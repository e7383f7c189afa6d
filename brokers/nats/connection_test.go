package nats

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// soon is how long an unanswered call may take to fail.
const soon = 15 * time.Second

func TestLogOpensWithoutServer(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	n.Stop()
	begun := time.Now()
	var l *log
	for range 10 {
		l, _ = openLog(t, Broker{URLs: []string{n.URL}})
	}
	// Waiting for a server would take a second or two for each.
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("opening it ten times takes %v", took)
	}
	for name, ask := range map[string]func() error{
		"the epoch": func() error { _, err := l.Epoch(t.Context()); return err },
		"appending": func() error { return l.Append(t.Context(), wakeUps("a", 1, 1)) },
		"tailing":   func() error { return l.Tail(t.Context(), 0, func(replica.Batch) {}) },
	} {
		begun := time.Now()
		if err := ask(); !errors.Is(err, nats.ErrNoServers) || time.Since(begun) > soon {
			t.Errorf("%s ends after %v with %v", name, time.Since(begun), err)
		}
	}
	n.Restart(t)
	l.mustEpoch(t)
}

func TestLogCallsEndWithTheirContext(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	r.cancel()
	if err := r.awaitEnd(t); !errors.Is(err, context.Canceled) {
		t.Errorf("tailing ends with %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Epoch(ended); err == nil {
		t.Error("the epoch is told")
	}
	if err := l.Append(ended, wakeUps("a", 1, 1)); err == nil {
		t.Error("an entry is appended")
	}
}

func TestLogCloseEndsAllCalls(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	l.Close()
	if err := r.awaitEnd(t); err == nil {
		t.Error("tailing ends without an error")
	}
	caddytest.Await(t, "nothing can be asked", func() bool {
		_, err := l.Epoch(t.Context())
		return err != nil
	})
}

func TestLogCallsEndAtOnceWhenConnectionIsLost(t *testing.T) {
	n := caddytest.StartNATS(t)
	wire := caddytest.StartProxy(t, n.Address())
	l, _ := openLog(t, Broker{URLs: []string{"nats://" + wire.Address}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	begun := time.Now()
	wire.Cut()
	err := r.awaitEnd(t)
	if took := time.Since(begun); took > soon || !strings.Contains(err.Error(), "connection to NATS lost") {
		t.Errorf("tailing ends after %v with %v", took, err)
	}
}

func TestLogNeedsOneOfSeveralServers(t *testing.T) {
	gone := caddytest.StartNATS(t)
	gone.Stop()
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{gone.URL, n.URL}})
	l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 1)...)
	r := l.follow(t)
	r.awaitRead(t, 1)
	n.Restart(t)
	l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 2, 2)...)
	r.awaitRead(t, 2)
}

func (l *log) isLost() bool {
	l.connection.mu.Lock()
	defer l.connection.mu.Unlock()
	return l.link == nil
}

// publishSteadily appends the entries of a node, up to the last, a few at a time. It
// repeats each append until it succeeds.
func (l *log) publishSteadily(ctx context.Context, node string, last uint64, pause time.Duration) error {
	few, many := uint64(3), uint64(leastTogether+10)
	for n := uint64(1); n <= last; n += few {
		few, many = many, few
		if err := l.insist(ctx, wakeUps(node, n, min(n+few-1, last))); err != nil {
			return err
		}
		time.Sleep(time.Duration(few) * pause) // so that it takes as long as the test's other steps
	}
	return nil
}

func TestLogLosesNothingWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	wire := caddytest.StartProxy(t, n.Address())
	l, _ := openLog(t, Broker{URLs: []string{"nats://" + wire.Address}})
	l.mustEpoch(t)
	r := l.follow(t)
	published := make(chan error, 1)
	go func() { published <- l.publishSteadily(t.Context(), "a", 600, 4*time.Millisecond) }()
	for read := 100; read <= 500; read += 100 {
		r.awaitRead(t, read)
		wire.Cut()
		caddytest.Await(t, "the connection is lost", l.isLost)
		wire.Heal()
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	r.awaitNumber(t, "a", 600)
	inOrder(t, r.read(), "a", 1, 600)
}

func TestLogLosesNothingWhileServerRestarts(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	r := l.follow(t)
	published := make(chan error, 1)
	go func() { published <- l.publishSteadily(t.Context(), "a", 600, 4*time.Millisecond) }()
	for read := 200; read <= 400; read += 200 {
		r.awaitRead(t, read)
		n.Restart(t)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	r.awaitNumber(t, "a", 600)
	inOrder(t, r.read(), "a", 1, 600)
}

// hole is a network between a client and a server that silently drops all data once it
// is opened.
type hole struct {
	address string

	mu     sync.Mutex // guards opened
	opened bool
}

func newHole(t *testing.T, server string) *hole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hole{address: listener.Addr().String()}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { client.Close() })
			backend, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { backend.Close() })
			go h.carry(client, backend)
			go h.carry(backend, client)
		}
	}()
	return h
}

// carry drops data, and the end of the connection, once the hole is open.
func (h *hole) carry(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		h.mu.Lock()
		opened := h.opened
		h.mu.Unlock()
		if !opened {
			to.Write(buffer[:n])
		}
		if err != nil && !opened {
			to.Close()
		}
		if err == io.EOF || err != nil {
			return
		}
	}
}

func (h *hole) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = true
}

func TestLogNoticesSilentServerSoon(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	h := newHole(t, n.Address())
	l, _ := openLog(t, Broker{URLs: []string{"nats://" + h.address}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	h.open()
	begun := time.Now()
	appended := make(chan error, 1)
	go func() {
		appended <- l.Append(t.Context(), []replica.Entry{{Channel: "a", Message: message(strings.Repeat("a", 900_000)), Node: "a", Number: 1}})
	}()
	if err := r.awaitEnd(t); err == nil || errors.Is(err, replica.ErrGap) || time.Since(begun) > soon {
		t.Errorf("tailing ends after %v with %v", time.Since(begun), err)
	}
	if err := <-appended; err == nil || time.Since(begun) > soon {
		t.Errorf("appending ends after %v with %v", time.Since(begun), err)
	}
	caddytest.Await(t, "the connection is given up", l.isLost)
	if took := time.Since(begun); took > soon {
		t.Errorf("the connection is given up after %v", took)
	}
	if _, err := l.Epoch(t.Context()); err == nil {
		t.Error("the epoch is told")
	}
}

func TestEpochReportsServerWithoutJetStream(t *testing.T) {
	n := caddytest.StartNATS(t, func(o *server.Options) { o.JetStream = false })
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	caddytest.Await(t, "the error says so", func() bool {
		_, err := l.Epoch(t.Context())
		return err != nil && strings.Contains(err.Error(), "not enabled")
	})
}
