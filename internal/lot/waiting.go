package lot

import (
	"slices"
	"strings"
)

// Waiting counts the waiting requests and streams of a channel.
type Waiting struct {
	// Requests is the number of parked requests.
	Requests int `json:"waiting"`

	// Streams is the number of open event streams.
	Streams int `json:"streams"`
}

// ChannelWaiting is a channel with the number of its waiting requests and streams.
type ChannelWaiting struct {
	Channel string `json:"channel"`
	Waiting
}

func (ch *channel) waiting() Waiting {
	return Waiting{Requests: int(ch.parked.Load()), Streams: ch.streams}
}

// Waiting counts the waiting requests and streams of a channel.
func (l *Lot) Waiting(name string) Waiting {
	s := l.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.channels[name]; ch != nil {
		return ch.waiting()
	}
	return Waiting{}
}

// EachWaiting calls yield with each channel that has waiting requests or streams, in no
// order. yield runs while a part of the lot is locked.
func (l *Lot) EachWaiting(yield func(ChannelWaiting)) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for name, ch := range s.channels {
			if w := ch.waiting(); w != (Waiting{}) {
				yield(ChannelWaiting{name, w})
			}
		}
		s.mu.Unlock()
	}
}

// Channels counts the channels with waiting requests or streams.
func (l *Lot) Channels() int {
	n := 0
	l.EachWaiting(func(ChannelWaiting) { n++ })
	return n
}

// WaitingAfter returns up to limit channels with waiting requests or streams whose names
// begin with prefix and sort after the name after, in order of the bytes of their names.
func (l *Lot) WaitingAfter(prefix, after string, limit int) []ChannelWaiting {
	var page []ChannelWaiting
	l.EachWaiting(func(c ChannelWaiting) {
		if c.Channel <= after || !strings.HasPrefix(c.Channel, prefix) || len(page) == limit && c.Channel > page[limit-1].Channel {
			return
		}
		at, _ := slices.BinarySearchFunc(page, c.Channel, func(c ChannelWaiting, name string) int { return strings.Compare(c.Channel, name) })
		page = slices.Insert(page, at, c)
		page = page[:min(len(page), limit)]
	})
	return page
}

// EachOn calls yield with the description of each waiter that is parked on a channel, or
// streams, in the order in which they came, until yield returns false. yield runs while a
// part of the lot is locked.
func (l *Lot) EachOn(name string, yield func(about any, stream bool) bool) {
	s := l.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[name]
	if ch == nil {
		return
	}
	for k := ch.first; k != nil; k = k.next {
		if about, stream, waits := k.waiter.described(); waits && !yield(about, stream) {
			return
		}
	}
}
