package traffic

import (
	"container/heap"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

const (
	// window is how much later than its beginning a request can be logged and still take
	// its place. It is longer than nearly all long polls last.
	window = 5 * time.Minute

	// turnedBack is by how much a request ends before the latest one if that one's time was
	// wrong, or if logs were joined in another order. All others would come late otherwise.
	turnedBack = 24 * time.Hour

	// maxPending and maxPendingBytes limit the memory for observations that wait for older
	// ones.
	maxPending      = 1 << 16
	maxPendingBytes = 32 << 20
)

// order sorts observations by their beginning. Servers log a request when it has ended, so
// that a long one stands after shorter ones that began later.
type order struct {
	yield   func(advise.Observation) bool
	stopped bool // yield has returned false

	pending pending
	bytes   int
	count   int64
	newest  time.Time // the latest end of a request
}

// add takes an observation, hands over those that are due, and reports whether more are
// wanted.
func (o *order) add(next *placed) bool {
	if o.stopped {
		return false
	}
	o.count++
	next.number = o.count
	o.bytes += next.size()
	heap.Push(&o.pending, next)
	if ended := next.Begun.Add(next.Took); ended.After(o.newest) || o.newest.Sub(ended) > turnedBack {
		o.newest = ended
	}
	for len(o.pending) > 0 && !o.stopped && o.due() {
		o.pop()
	}
	return !o.stopped
}

func (o *order) due() bool {
	return len(o.pending) > maxPending || o.bytes > maxPendingBytes || o.newest.Sub(o.pending[0].Begun) > window
}

// flush hands over the rest, and reports whether more are wanted.
func (o *order) flush() bool {
	for len(o.pending) > 0 && !o.stopped {
		o.pop()
	}
	return !o.stopped
}

func (o *order) pop() {
	first := heap.Pop(&o.pending).(*placed)
	o.bytes -= first.size()
	o.stopped = !o.yield(first.Observation)
}

// placed is an observation with its place in the file, which decides between equal times.
type placed struct {
	advise.Observation
	ended  bool // Begun is when the answer had ended
	number int64
}

// size returns about how many bytes of memory the observation takes.
func (p *placed) size() int {
	const fixed, perField = 400, 100
	size := fixed + len(p.Client) + len(p.Host) + len(p.Path) + len(p.Query) + len(p.Body) + len(p.Text) + len(p.Sum)
	for _, header := range [...]map[string][]string{p.Request, p.Answer} {
		for name, values := range header {
			size += perField + len(name)
			for _, value := range values {
				size += len(value)
			}
		}
	}
	return size
}

// pending is a heap whose first element began first.
type pending []*placed

func (p pending) Len() int      { return len(p) }
func (p pending) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p pending) Less(i, j int) bool {
	if before := p[i].Begun.Compare(p[j].Begun); before != 0 {
		return before < 0
	}
	return p[i].number < p[j].number
}
func (p *pending) Push(x any) { *p = append(*p, x.(*placed)) }
func (p *pending) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	return x
}
