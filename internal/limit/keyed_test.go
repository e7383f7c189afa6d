package limit

import "testing"

func TestCounterKeepsLimitAndForgetsUnusedKeys(t *testing.T) {
	var c Counter
	for i := range 3 {
		if got := c.Enter("a", 2); got != (i < 2) {
			t.Errorf("Enter %d = %v", i, got)
		}
	}
	if !c.Enter("b", 1) {
		t.Error("another key's count was in the way")
	}
	for _, key := range []string{"a", "a", "b"} {
		c.Exit(key)
	}
	if len(c.counts) != 0 {
		t.Errorf("left behind: %v", c.counts)
	}
}

func TestNewestDropsOnlyNewest(t *testing.T) {
	var n Newest[string, int]
	if _, ok := n.Put("a", 1); ok {
		t.Error("there was one before the first")
	}
	if older, ok := n.Put("a", 2); !ok || older != 1 {
		t.Errorf("Put = %d, %v; want the first", older, ok)
	}
	n.Drop("a", 1)
	if older, _ := n.Put("a", 3); older != 2 {
		t.Errorf("dropping the older took the newest: %d", older)
	}
	n.Drop("a", 3)
	if len(n.values) != 0 {
		t.Errorf("left behind: %v", n.values)
	}
}

func TestSpreadCountsDifferentThings(t *testing.T) {
	var s Spread
	for i, want := range []struct {
		holder string
		things []string
		ok     bool
	}{
		{"a", []string{"1", "2"}, true},
		{"a", []string{"2"}, true},
		{"a", []string{"2", "3"}, false},
		{"b", []string{"3"}, true},
	} {
		if ok := s.Enter(want.holder, want.things, 2); ok != want.ok {
			t.Errorf("Enter %d = %v", i, ok)
		}
	}
	s.Exit("a", []string{"1", "2"})
	if !s.Enter("a", []string{"3"}, 2) {
		t.Error("what was given back is still counted")
	}
	s.Exit("a", []string{"2"})
	s.Exit("a", []string{"3"})
	s.Exit("b", []string{"3"})
	if len(s.holds)+len(s.widths) != 0 {
		t.Errorf("left behind: %v %v", s.holds, s.widths)
	}
}
