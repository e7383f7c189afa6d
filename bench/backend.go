package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// backend is a backend that can only be polled.
type backend struct {
	address string
	news    string       // the answer at /news
	version atomic.Int64 // the version of the answer at /messages, or 0 if there never were news
	asked   atomic.Int64 // the number of requests at /messages

	server *http.Server
}

// startBackend starts a backend in this process.
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

// giveMessages answers with 204 if there never were news, with 304 if the client has the
// newest version, and otherwise with the newest version.
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

// giveNews always answers with news.
func (b *backend) giveNews(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b.news)))
	io.WriteString(w, b.news)
}
