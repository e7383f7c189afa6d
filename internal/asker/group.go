package asker

import (
	"net/http"
	"slices"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/coalesce"
)

// key returns the key of the group of the request as it is now.
func (a *Asker) key() coalesce.Key {
	q := a.keyRequest()
	q.Varies = a.varies
	return a.config.Share.Key(q)
}

// keyRequest returns what the keys of the request are made of.
func (a *Asker) keyRequest() coalesce.Request {
	return coalesce.Request{
		HTTP:     a.HTTP,
		Kept:     a.Request,
		Channels: a.Channels,
		Position: a.namesPosition(),
		Body:     a.Request.Body(),
		Alone:    a.Alone,
	}
}

// namesPosition reports whether the client's Last-Event-ID is a position of this broker's
// events. Anything else may be a position of the backend's.
func (a *Asker) namesPosition() bool {
	lines := a.Request.Field("Last-Event-Id")
	if len(lines) != 1 {
		return false
	}
	position, err := brokers.ParsePosition(lines[0])
	return err == nil && position.Epoch == a.config.Hub.Position().Epoch
}

// regroup makes the request a member of the group for its fields as they are now. varies
// are the fields by which an answer varied that did not match. Those of earlier answers
// count as well: otherwise a backend that names other fields each time would make the
// request change groups without end.
func (a *Asker) regroup(varies http.Header) {
	for name := range varies {
		if at, found := slices.BinarySearch(a.varies, name); !found {
			a.varies = slices.Insert(a.varies, at, name)
		}
	}
	a.Request.Restore()
	old := a.group
	a.Enter()
	old.Exit()
}

// SetField replaces a header field of the request in all asks to come.
func (a *Asker) SetField(name string, lines []string) {
	if header := a.Request.Header(); lines == nil {
		delete(header, name)
	} else {
		header[name] = lines
	}
	a.regroup(nil)
}
