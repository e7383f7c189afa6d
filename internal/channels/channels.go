// Package channels determines the channels that a request waits on or publishes on.
package channels

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/brokers"
)

// Of returns the channels that the templates name for a request. Without templates that
// is the request's path without its leading slash. If a template does not give a valid
// channel, for example because a placeholder is empty or unknown, Of returns an error
// together with the channels of the other templates.
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
