package advise

import "net/http"

// step is a request of a thread and the one before it.
type step struct {
	thread    *thread
	last, now *record
}

// stepsOf returns the requests of all threads that follow another, thread by thread.
func stepsOf(threads []thread) []step {
	var all []step
	for i := range threads {
		t := &threads[i]
		for j := 1; j < len(t.asks); j++ {
			all = append(all, step{t, t.asks[j-1], t.asks[j]})
		}
	}
	return all
}

// changes returns the steps at which a client got something new: an answer that is neither
// held by the rule nor the one that it had. A page that was loaded again gets what is old.
func (r *route) changes(rule *rule) []step {
	var changes []step
	cursors := r.fieldsOf(CursorRole)
	for _, s := range r.steps {
		if s.begins(cursors) {
			continue
		}
		now := s.now.answer
		if !rule.held(s) && now.succeeded() && now.status != 304 && rule.sum(now) != rule.sum(s.last.answer) {
			changes = append(changes, s)
		}
	}
	return changes
}

// refusals returns the steps at which a client was refused for the first time. A failure or a
// limit of the backend is no refusal: no write brings it.
func (r *route) refusals() []step {
	var refusals []step
	for _, s := range r.steps {
		status := s.now.answer.status
		if s.last.answer.succeeded() && status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests {
			refusals = append(refusals, s)
		}
	}
	return refusals
}

// begins reports whether a cursor goes back.
func (s step) begins(cursors []int) bool {
	for _, i := range cursors {
		last, had := s.last.whole(i)
		now, has := s.now.whole(i)
		if had && !has || had && last.number && now.number && int64(now.value) < int64(last.value) {
			return true
		}
	}
	return false
}
