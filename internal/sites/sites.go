// Package sites detects sites that share channels, because the channels are named by the
// path alone. It detects them by the site blocks when a Caddyfile is adapted, and by the
// hosts of requests at run time.
package sites

import (
	"fmt"
	"net"
	"strings"
	"sync"
)

// The limits of [Hosts]. They are needed because clients choose hosts and, by the path,
// channels.
const (
	maxChannels = 10_000
	maxHost     = 255 // bytes, the maximum length of a DNS name
)

// Hosts records the last host whose requests wait on each channel that is named by the
// path alone. Each configuration has its own, because a site may have another name in the
// next configuration. The zero value is ready to use.
type Hosts struct {
	mu       sync.Mutex // guards channels
	channels map[string]string
}

// Wait records that a request for a host waits on a channel. If the request before was
// for another host, it returns that host.
func (h *Hosts) Wait(channel, host string) (other string) {
	host = siteOf(host)
	if len(host) > maxHost {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before, known := h.channels[channel]
	if before == host && known {
		return ""
	}
	if h.channels == nil || len(h.channels) >= maxChannels {
		h.channels = make(map[string]string)
	}
	// The strings are cloned so that they do not keep the request's header in memory.
	h.channels[strings.Clone(channel)] = strings.Clone(host)
	return before
}

// Other returns the host for which requests wait on a channel, or "" if it is the given
// one or none is known.
func (h *Hosts) Other(channel, host string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.channels[channel]; other != siteOf(host) {
		return other
	}
	return ""
}

// ApartBy returns a channel with placeholders that is different for each of the sites.
func ApartBy(sites ...string) (channel string) {
	hosts := make(map[string]string)
	for _, site := range sites {
		host, _, err := net.SplitHostPort(site)
		if err != nil {
			host = site
		}
		if other, known := hosts[host]; known && other != site {
			return "{hostport}{path}"
		}
		hosts[host] = site
	}
	return "{host}{path}"
}

// siteOf returns the site of a host and port, in lower case. A host has the same site at
// both default ports.
func siteOf(host string) string {
	host = strings.ToLower(host)
	if !strings.Contains(host, ":") {
		return host
	}
	if name, port, err := net.SplitHostPort(host); err == nil && (port == "80" || port == "443") {
		return name
	}
	if name, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(name, "]") {
		return strings.TrimSuffix(name, "]") // an IPv6 address without a port
	}
	return host
}

// CrossingError returns the error for a channel that is named by the path alone, and on which
// requests for two hosts wait.
func CrossingError(channel, host, other string) error {
	return fmt.Errorf("channel %q is named by the path alone, so %s and %s share it: give them different channels, such as %s, or add across_sites if they are meant to share it", channel, host, other, ApartBy(host, other))
}
