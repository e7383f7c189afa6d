package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// topic is what some readers want to hear: items that are numbered from 1.
type topic struct {
	name string

	mu        sync.Mutex  // guards announced
	announced []time.Time // when the publish of each item had succeeded
}

// item is the text of an item. Padding may follow.
func (t *topic) item(number int) string { return fmt.Sprint(t.name, " ", number) }

// announce says that the next item has been published.
func (t *topic) announce() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announced = append(t.announced, time.Now())
}

// count is how many items have been published.
func (t *topic) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.announced)
}

// since is when the item was published, or zero if it is not yet.
func (t *topic) since(number int) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if number > len(t.announced) {
		return time.Time{}
	}
	return t.announced[number-1]
}

// number is that of an item of this topic.
func (t *topic) number(text string) (int, error) {
	var name string
	var number int
	if _, err := fmt.Sscanf(text, "%s %d", &name, &number); err != nil || name != t.name {
		shown, _, _ := strings.Cut(text, " x")
		return 0, fmt.Errorf("a reader of %s heard %q", t.name, shown)
	}
	return number, nil
}
