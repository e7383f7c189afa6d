package traffic

import "time"

// maxSpreadBytes limits the memory for the observations of one step.
const maxSpreadBytes = 8 << 20

// spread spaces the observations that have the same time in the log evenly over the step of
// its clock, in the order of their lines. Polls and writes within one second would all be at
// the same time otherwise, and how long some of them took would put them in a wrong order.
type spread struct {
	logged time.Time
	waits  []*placed
	bytes  int
}

// space takes an observation from a clock with long steps, and reports whether more are
// wanted. One with an earlier time keeps it: Apache logs when a request came, but once its
// answer has ended.
func (t *reading) space(next *placed) bool {
	s := &t.spread
	later := next.Begun.Sub(s.logged)
	if later < 0 && later >= -turnedBack {
		return t.place(next)
	}
	if later != 0 && !t.endStep() {
		return false
	}
	s.logged, s.waits, s.bytes = next.Begun, append(s.waits, next), s.bytes+next.size()
	return s.bytes <= maxSpreadBytes || t.endStep()
}

// endStep hands over the observations of one step, and reports whether more are wanted.
func (t *reading) endStep() bool {
	waits := t.spread.waits
	t.spread.waits, t.spread.bytes = waits[:0], 0
	defer clear(waits)
	for i, it := range waits {
		it.Begun = it.Begun.Add(it.Step * time.Duration(i) / time.Duration(len(waits)))
		if !t.place(it) {
			return false
		}
	}
	return true
}
