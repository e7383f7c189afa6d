// Package sites notices when two sites would hear each other, because their channels
// are named by the path alone: where a Caddyfile is loaded, by its site blocks, and
// while requests come, by their hosts.
package sites

import (
	"net"
	"strings"
	"sync"
)

// What [Hosts] remembers at most. Clients choose hosts, and with a path channels.
const (
	maxChannels = 10_000
	maxHost     = 255 // bytes, as of a name in DNS
)

// Hosts remembers for which host requests wait on each channel that is named by the
// path alone. It belongs to one configuration: a site may have another name in the
// next. The zero value is ready.
type Hosts struct {
	mu       sync.Mutex // guards channels
	channels map[string]string
}

// Wait notes that requests for a host wait on a channel. If requests for another host
// did before, it returns that host.
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
	// The strings are parts of the request's header, which is not to stay in memory.
	h.channels[strings.Clone(channel)] = strings.Clone(host)
	return before
}

// Other returns the host for which requests wait on a channel, if it is not the one
// given.
func (h *Hosts) Other(channel, host string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other := h.channels[channel]; other != siteOf(host) {
		return other
	}
	return ""
}

// ApartBy returns what a channel can be named by so that sites differ in it.
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

// siteOf returns what tells the site of a host and port: the same host at the default
// ports is one.
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
