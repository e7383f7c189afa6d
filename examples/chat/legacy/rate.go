package legacy

// rate counts requests in each of the last 60 seconds. The count of a second has the
// index of that second modulo 60. newest is the last second with a valid count.
type rate struct {
	counts [60]int
	newest int64
}

func (r *rate) count(now int64) {
	r.advance(now)
	r.counts[now%60]++
}

// lastMinute returns the counts of the last 60 seconds, including the current one, oldest
// first.
func (r *rate) lastMinute(now int64) []int {
	r.advance(now)
	oldest := (now + 1) % 60
	return append(append([]int{}, r.counts[oldest:]...), r.counts[:oldest]...)
}

// advance clears the counts of the seconds since newest, which are still those of a minute
// earlier.
func (r *rate) advance(now int64) {
	for second := max(r.newest+1, now-59); second <= now; second++ {
		r.counts[second%60] = 0
	}
	r.newest = max(r.newest, now)
}
