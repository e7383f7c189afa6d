// Package limit keeps what is known by key only while somebody needs it: how
// many there are of each, and which came last.
package limit

import "sync"

// Counter counts holders by key. The zero value counts none.
type Counter struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

// Enter adds one to the key's count, unless it has reached limit.
func (c *Counter) Enter(key string, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[key] >= limit {
		return false
	}
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[key]++
	return true
}

// Exit takes back what Enter added.
func (c *Counter) Exit(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[key]--; c.counts[key] <= 0 {
		delete(c.counts, key)
	}
}

// Spread counts, for each holder, on how many different things it has a hold. The
// zero value counts none.
type Spread struct {
	mu     sync.Mutex // guards all below
	holds  map[hold]int
	widths map[string]int
}

type hold struct{ holder, thing string }

// Enter adds holds on the things, unless there were more different ones of this
// holder than limit.
func (s *Spread) Enter(holder string, things []string, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	width := s.widths[holder]
	for _, thing := range things {
		if s.holds[hold{holder, thing}] == 0 {
			width++
		}
	}
	if width > limit {
		return false
	}
	if s.holds == nil {
		s.holds, s.widths = make(map[hold]int), make(map[string]int)
	}
	s.widths[holder] = width
	for _, thing := range things {
		s.holds[hold{holder, thing}]++
	}
	return true
}

// Exit takes back what Enter added.
func (s *Spread) Exit(holder string, things []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, thing := range things {
		if s.holds[hold{holder, thing}]--; s.holds[hold{holder, thing}] > 0 {
			continue
		}
		delete(s.holds, hold{holder, thing})
		if s.widths[holder]--; s.widths[holder] == 0 {
			delete(s.widths, holder)
		}
	}
}

// Newest holds the newest value of each key. The zero value holds none.
type Newest[K, V comparable] struct {
	mu     sync.Mutex // guards values
	values map[K]V
}

// Put makes v the key's newest value and returns the one before.
func (n *Newest[K, V]) Put(key K, v V) (older V, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values == nil {
		n.values = make(map[K]V)
	}
	older, ok = n.values[key]
	n.values[key] = v
	return older, ok
}

// Replace puts a value in another's place, if that is still the key's newest.
func (n *Newest[K, V]) Replace(key K, from, to V) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values[key] != from {
		return false
	}
	n.values[key] = to
	return true
}

// Drop forgets v, if it is still the key's newest.
func (n *Newest[K, V]) Drop(key K, v V) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values[key] == v {
		delete(n.values, key)
	}
}
