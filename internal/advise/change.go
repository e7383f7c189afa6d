package advise

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
// held by the rule nor the one that it had.
func (r *route) changes(rule *rule) []step {
	var changes []step
	for _, s := range r.steps {
		now := s.now.answer
		if !rule.held(s) && now.succeeded() && now.status != 304 && rule.sum(now) != rule.sum(s.last.answer) {
			changes = append(changes, s)
		}
	}
	return changes
}
