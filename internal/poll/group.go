package poll

import (
	"net/http"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/coalesce"
)

// key returns the key of the group that fits the poll's request as it is now.
func (p *Poll) key() coalesce.Key {
	return p.config.Share.Key(coalesce.Request{
		HTTP:     p.r,
		Kept:     p.request,
		Channels: p.channels,
		Position: p.ownPosition(),
		Alone:    p.alone,
		Varies:   p.varies,
	})
}

// ownPosition reports whether the client's Last-Event-ID is a position in the events
// of this broker. Anything else may be a position of the backend's.
func (p *Poll) ownPosition() bool {
	lines := p.request.Field("Last-Event-Id")
	if len(lines) != 1 {
		return false
	}
	position, err := brokers.ParsePosition(lines[0])
	return err == nil && position.Epoch == p.config.Broker.Position().Epoch
}

// regroup makes the poll a member of the group that fits its request now, given
// the fields by which an answer varied that did not suit it. Those of earlier
// answers count on: a backend that names now one field and now another would send
// the poll to and fro for ever.
func (p *Poll) regroup(varies http.Header) {
	for name := range varies {
		if at, found := slices.BinarySearch(p.varies, name); !found {
			p.varies = slices.Insert(p.varies, at, name)
		}
	}
	p.request.Restore()
	old := p.group
	p.group = p.config.Groups.Enter(p.key(), p.channels)
	old.Exit()
}
