package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// backend is one that can only be polled.
type backend struct {
	address string
	news    string       // what it says at /news
	version atomic.Int64 // of what it says at /messages; 0: nothing has ever been new there
	asked   atomic.Int64 // how often it was, at /messages

	server *http.Server
}

// startBackend starts one in this process.
func startBackend(news string) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the backend: %w", err)
	}
	b := &backend{address: listener.Addr().String(), news: news}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /messages", b.giveMessages)
	routes.HandleFunc("GET /news", b.giveNews)
	b.server = &http.Server{Handler: routes}
	go b.server.Serve(listener) // until stop
	return b, nil
}

func (b *backend) stop() { b.server.Close() }

// giveMessages answers 204 where there has never been any news, and 304 a client that
// has the newest.
func (b *backend) giveMessages(w http.ResponseWriter, r *http.Request) {
	b.asked.Add(1)
	version := b.version.Load()
	tag := fmt.Sprintf(`"%d"`, version)
	switch {
	case version == 0:
		w.WriteHeader(http.StatusNoContent)
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"id":%d,"text":"hello"}]`, version)
	}
}

// giveNews always has some.
func (b *backend) giveNews(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b.news)))
	io.WriteString(w, b.news)
}
