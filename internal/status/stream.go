package status

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/response"
)

// retry is how long a client waits before it reconnects, for example after a reload.
const retry = time.Second

// unseen is the count of samples for a new stream.
const unseen = -1

// Stream answers with the figures as an event stream: the remembered samples, and then
// the newest one each second. It ends when the client leaves, when the configuration ends
// or when the server stops.
func Stream(w http.ResponseWriter, r *http.Request, configuration, stopping context.Context) {
	processWide.stream(w, r, configuration, stopping)
}

func (s *sampler) stream(w http.ResponseWriter, r *http.Request, configuration, stopping context.Context) {
	s.join(true)
	defer s.leave(true)
	header := w.Header()
	header.Set("Content-Type", eventstream.MediaType)
	header.Set("Cache-Control", "no-store")
	limits := response.LimitsOf(w, r)
	out := response.Attend(w, r, &limits, http.StatusOK, 0)
	if out == nil {
		return // the request is a HEAD
	}
	defer out.Close()
	defer context.AfterFunc(stopping, func() { out.Stop(nil) })()

	out.WriteHeader(http.StatusOK)
	events, seen := eventstream.AppendRetry(nil, retry), unseen
	for {
		if _, err := out.Write(events); err != nil {
			return
		}
		var next <-chan struct{}
		if events, seen, next = s.since(seen); len(events) > 0 {
			continue
		}
		select {
		case <-next:
		case <-r.Context().Done():
			return
		case <-configuration.Done():
			return
		case <-stopping.Done():
			return
		}
	}
}
