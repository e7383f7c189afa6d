// Package channels says on which channels a request waits, or a write publishes.
package channels

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
)

// Of returns the channels that the templates name for a request: by default its
// path without the leading slash. The error is about one that names no channel, as with
// a placeholder that is empty or does not exist: nobody means to wait on what is left of
// it. The others are returned all the same.
func Of(r *http.Request, templates []string) (channels []string, err error) {
	if len(templates) == 0 {
		channel := strings.TrimPrefix(r.URL.Path, "/")
		if err := brokers.CheckChannel(channel); err != nil {
			return nil, err
		}
		return []string{channel}, nil
	}
	replacer := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	channels = make([]string, 0, len(templates))
	for _, template := range templates {
		channel, wrong := replacer.ReplaceOrErr(template, true, true)
		if wrong == nil {
			wrong = brokers.CheckChannel(channel)
		}
		if wrong != nil {
			err = fmt.Errorf("channel %s: %w", template, wrong)
			continue
		}
		if !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	return channels, err
}
