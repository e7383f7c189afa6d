package legacy

// rate counts requests in each of the last 60 seconds. A second's count stands
// at the second modulo 60; newest is the last second that was prepared.
type rate struct {
	counts [60]int
	newest int64
}

func (r *rate) count(now int64) {
	r.advance(now)
	r.counts[now%60]++
}

// lastMinute is the counts up to now, which is not over yet, the oldest first.
func (r *rate) lastMinute(now int64) []int {
	r.advance(now)
	oldest := (now + 1) % 60
	return append(append([]int{}, r.counts[oldest:]...), r.counts[:oldest]...)
}

// advance clears the counts of the seconds that passed without a request, which
// still hold what happened a minute before.
func (r *rate) advance(now int64) {
	for second := max(r.newest+1, now-59); second <= now; second++ {
		r.counts[second%60] = 0
	}
	r.newest = max(r.newest, now)
}
