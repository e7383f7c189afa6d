// Package load makes load for tests: publishers of numbered items, clients that follow
// them in each way and with each protocol, and a ledger that knows what was published
// and what each client has heard. The test fails if a client misses an item, hears one
// twice or in a wrong order, or hears somebody else's.
package load

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Ledger knows what was published on each topic.
type Ledger struct {
	mu     sync.Mutex // guards all below, the items of all topics, and what clients have heard
	topics map[string]*Topic
	ended  map[string]time.Time
}

// Topic is what some clients want to hear: messages, rows of the backend, or both.
type Topic struct {
	Name           string
	Messages, Rows Items
}

// Items are numbered from 1. Each client that follows them must hear each one once, in
// the order of the numbers.
type Items struct {
	name   string
	ledger *Ledger
	items  []Item
}

// Item is a published item, with what a failure at its publish excuses.
type Item struct {
	// Published is the time at which the publish had succeeded, or zero.
	Published time.Time

	// Place names the process that accepted it.
	Place string

	// Ahead is set if that process was cut off from the others. If it ends before the
	// others have the item, the item may be lost, or come late.
	Ahead bool

	// Twice is set if the item was published again by a process that may not know of the
	// first time. Clients may hear it twice.
	Twice bool
}

// Topic returns the topic with the name, and adds it if it is new.
func (l *Ledger) Topic(name string) *Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics == nil {
		l.topics = make(map[string]*Topic)
	}
	if l.topics[name] == nil {
		l.topics[name] = &Topic{name, Items{name: name, ledger: l}, Items{name: name, ledger: l}}
	}
	return l.topics[name]
}

// Ended notes that the process at the place has ended. The others have all items that
// it had accepted up to the time safe.
func (l *Ledger) Ended(place string, safe time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended == nil {
		l.ended = make(map[string]time.Time)
	}
	l.ended[place] = safe
}

// Published returns the number of items whose publish has succeeded.
func (l *Ledger) Published() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.topics {
		for _, items := range [][]Item{t.Messages.items, t.Rows.items} {
			for _, item := range items {
				if !item.Published.IsZero() {
					n++
				}
			}
		}
	}
	return n
}

// Add adds the next item, which is about to be published, and returns its number.
func (s *Items) Add() (number int) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.items = append(s.items, Item{})
	return len(s.items)
}

// AddAs is like [Items.Add] if the number is that of the next item. Else it does nothing.
func (s *Items) AddAs(number int) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if number == len(s.items)+1 {
		s.items = append(s.items, Item{})
	}
}

// Set sets what is known of the item.
func (s *Items) Set(number int, item Item) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.items[number-1] = item
}

// Done notes that the publish of the item has succeeded.
func (s *Items) Done(number int) { s.Set(number, Item{Published: time.Now()}) }

// Count returns the number of items, which includes those that are about to be
// published.
func (s *Items) Count() int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return len(s.items)
}

// Text returns the text of the item. More words may follow it.
func (s *Items) Text(number int) string { return fmt.Sprint(s.name, " ", number) }

// record is what one client has heard of the items. The ledger's mutex guards it.
type record struct {
	*Items
	settled bool  // items must come in order
	rows    bool  // an answer has all rows since the request, so they come again
	heard   []int // in this order
	highest int

	// A stream may have given items without a position. They come again on the next
	// one, which resumes after the item sure. again is the last that has come again.
	sure, again int
}

// note adds an item. It returns what is wrong with it, or "".
func (r *record) note(number int) (fault string) {
	if number < 1 || number > len(r.items) {
		return fmt.Sprintf("heard %s, which was never published", r.Text(number))
	}
	if r.rows && number <= r.highest {
		return ""
	}
	if r.settled && r.again < r.highest && number == r.again+1 {
		r.again++
		return ""
	}
	r.heard = append(r.heard, number)
	if !r.settled {
		return ""
	}
	if number > r.highest+1 {
		return fmt.Sprintf("missed %s: heard %d after %d", r.Text(r.highest+1), number, r.highest)
	}
	fault = r.fault(len(r.heard)-1, r.highest)
	r.highest = max(r.highest, number)
	r.again = r.highest
	return fault
}

// fault returns what is wrong with the order or the repetition of the item at the index,
// or "". The highest number before it is given.
func (r *record) fault(index, highest int) string {
	number := r.heard[index]
	item := r.items[number-1]
	if number > highest || item.Twice {
		return ""
	}
	for _, before := range r.heard[:index] {
		switch {
		case before == number:
			return fmt.Sprintf("heard %s twice, of %s", r.Text(number), r.upTo(index))
		case before > number && !r.mayBeLost(item):
			return fmt.Sprintf("heard %s after %d, of %s", r.Text(number), before, r.upTo(index))
		}
	}
	return ""
}

// upTo shows the last numbers up to the index.
func (r *record) upTo(index int) string {
	return strings.Trim(fmt.Sprint(r.heard[max(0, index-20):index+1]), "[]")
}

// mayBeLost reports whether the process that accepted the item has ended before the others
// had it.
func (r *record) mayBeLost(item Item) bool {
	safe, ended := r.ledger.ended[item.Place]
	return item.Ahead && ended && item.Published.After(safe)
}

// missed returns the first item that was not heard and whose loss nothing excuses, or 0.
func (r *record) missed() int {
	if r.highest == len(r.items) {
		return 0
	}
	heard := make([]bool, len(r.items))
	for _, number := range r.heard {
		heard[number-1] = true
	}
	for i, item := range r.items {
		if !heard[i] && !r.mayBeLost(item) {
			return i + 1
		}
	}
	return 0
}

// verdict returns what is wrong with all that was heard so far, or "".
func (r *record) verdict() string {
	if number := r.missed(); number > 0 {
		return fmt.Sprintf("missed %s, having heard %s", r.Text(number), r.upTo(len(r.heard)-1))
	}
	highest := 0
	for index, number := range r.heard {
		if fault := r.fault(index, highest); fault != "" {
			return fault
		}
		highest = max(highest, number)
	}
	return ""
}
