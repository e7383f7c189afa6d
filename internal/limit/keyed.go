// Package limit provides counters and newest values by key. A key takes memory only
// while it is in use.
package limit

import "sync"

// Counter counts holders by key. The zero value is ready to use.
type Counter struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

// Enter adds one to the key's count. It returns false if the count has reached limit.
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

// Exit undoes a call of Enter that returned true.
func (c *Counter) Exit(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[key]--; c.counts[key] <= 0 {
		delete(c.counts, key)
	}
}

// Spread counts the different things on which each holder has a hold. The zero value is
// ready to use.
type Spread struct {
	mu     sync.Mutex // guards all below
	holds  map[hold]int
	widths map[string]int
}

type hold struct{ holder, thing string }

// Enter adds holds on the things. It returns false, and adds none, if the holder would
// then have holds on more than limit different things.
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

// Exit undoes a call of Enter that returned true.
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

// Newest holds the newest value of each key. The zero value is ready to use.
type Newest[K, V comparable] struct {
	mu     sync.Mutex // guards values
	values map[K]V
}

// Put makes v the key's newest value. It returns the value before, and whether there
// was one.
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

// Replace replaces the key's newest value with to if it is from. It reports whether it
// was.
func (n *Newest[K, V]) Replace(key K, from, to V) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values[key] != from {
		return false
	}
	n.values[key] = to
	return true
}

// Drop removes the key's newest value if it is v.
func (n *Newest[K, V]) Drop(key K, v V) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.values[key] == v {
		delete(n.values, key)
	}
}
