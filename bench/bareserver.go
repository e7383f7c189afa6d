package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// bareVariable is the environment variable that makes this program run as the bare server
// that parker is compared with.
const bareVariable = "PARKER_BENCH_BARE"

// serveBare runs this program as a bare server.
func serveBare() error {
	s := newBareServer()
	site, err := listen(s.poll)
	if err != nil {
		return fmt.Errorf("bare server: %w", err)
	}
	hook, err := listen(s.takePublish)
	if err != nil {
		return fmt.Errorf("bare server: %w", err)
	}
	return obey(site, hook)
}

// listen serves HTTP on a free loopback address until the process ends.
func listen(handle http.HandlerFunc) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(listener, handle)
	return listener.Addr().String(), nil
}

// startBare starts this program again as a bare server.
func startBare(ctx context.Context) (*process, error) {
	p, err := startProcess(ctx, bareVariable, "")
	if err != nil {
		return nil, fmt.Errorf("starting the bare server: %w", err)
	}
	return p, nil
}

// bareServer answers polls with the next message. It does no more than that takes: it has
// no channels, positions, history or timeout.
type bareServer struct {
	mu   sync.Mutex // guards next, and its field waiting
	next *bareMessage
}

// bareMessage is a message that polls wait for.
type bareMessage struct {
	published chan struct{} // closed when it is published
	text      []byte        // the message; it must only be read when published is closed
	waiting   int           // the number of polls that wait for it
}

func newBareServer() *bareServer { return &bareServer{next: newBareMessage()} }

func newBareMessage() *bareMessage { return &bareMessage{published: make(chan struct{})} }

// poll waits for the next message and answers with it.
func (s *bareServer) poll(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	message := s.next
	message.waiting++
	s.mu.Unlock()
	select {
	case <-message.published:
		w.Header().Set("Content-Type", "application/json")
		w.Write(message.text)
	case <-r.Context().Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		message.waiting--
	}
}

// maxBareMessage is the largest message in bytes that the bare server takes.
const maxBareMessage = 1 << 20

// takePublish publishes the body of a POST. To a GET it answers with the number of polls
// that wait.
func (s *bareServer) takePublish(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `{"waiting":%d}`, s.waiting())
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBareMessage))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, `{"released":%d}`, s.publish(text))
}

func (s *bareServer) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.waiting
}

// publish answers all waiting polls with the text, and returns their number.
func (s *bareServer) publish(text []byte) (released int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	message := s.next
	s.next = newBareMessage()
	message.text = text
	close(message.published)
	return message.waiting
}
