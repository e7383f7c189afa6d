package advise

// minShared is how often another client must have got the same news.
const minShared = 3

// shareOf finds out whether clients that ask for the same get the same news. Answers with
// nothing new say little about it: the inboxes of all users are empty in the same way.
func shareOf(p *Poll, r *route, u *rule, changes []step) {
	for i := range r.records {
		it := r.records[i].facts
		p.Sharing.SetCookie = p.Sharing.SetCookie || it.setCookie
		p.Sharing.NoStore = p.Sharing.NoStore || it.noStore
		p.Sharing.Varies = p.Sharing.Varies || it.varies
	}
	names := r.urlFields()
	byURL := make(map[string][]*record)
	for i := range r.records {
		it := &r.records[i]
		byURL[keyOf(it, names)] = append(byURL[keyOf(it, names)], it)
	}
	near := int64(r.rhythm.every) * 3 / 2
	for _, s := range changes {
		news := s.now.answer.canonical(u.excepted)
		same, others := make(map[uint64]bool), make(map[uint64]bool)
		for _, other := range byURL[keyOf(s.now, names)] {
			if other.client == s.now.client || other.begun < s.now.begun-near || other.begun > s.now.begun+near {
				continue
			}
			others[other.client] = true
			if other.answer.canonical(u.excepted) == news {
				same[other.client] = true
			}
		}
		p.Sharing.Same += len(same)
		p.Sharing.Different += len(others) - len(same)
	}
	p.Public = p.Sharing.Same >= minShared && p.Sharing.Different*50 <= p.Sharing.Same && !p.Sharing.Varies
}

// urlFields returns the fields that requests for the same have in common.
func (r *route) urlFields() []fieldName {
	var names []fieldName
	for _, role := range []Role{KeyRole, CursorRole, FixedRole, UnknownRole} {
		names = append(names, r.fieldsOf(role)...)
	}
	return names
}
