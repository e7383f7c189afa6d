package advise

// step is a request of a thread and the one before it.
type step struct {
	thread    *thread
	last, now *record
}

// steps returns the requests of all threads that follow another, thread by thread.
func (r *route) steps() []step {
	var all []step
	for i := range r.threads {
		t := &r.threads[i]
		for j := 1; j < len(t.asks); j++ {
			all = append(all, step{t, t.asks[j-1], t.asks[j]})
		}
	}
	return all
}

// pairs returns the answers to successive requests.
func (r *route) pairs() [][2]*answer {
	var pairs [][2]*answer
	for _, s := range r.steps() {
		pairs = append(pairs, [2]*answer{s.last.answer, s.now.answer})
	}
	return pairs
}

// changes returns the steps at which a client got something new: an answer that is neither
// held by the rule nor the one that it had.
func (r *route) changes(rule *rule) []step {
	var changes []step
	for _, s := range r.steps() {
		now := s.now.answer
		if !rule.held(s) && now.succeeded() && now.status != 304 && now.canonical(rule.excepted) != s.last.answer.canonical(rule.excepted) {
			changes = append(changes, s)
		}
	}
	return changes
}
