package coalesce

import (
	"slices"
	"time"
)

// Call is an ask that members of a group share. One of them leads it, as a [Leader] that
// asks the backend or queues for it. The others join it and wait for the [Result]. If the
// backend does not answer, further members lead the call with asks of their own. The first
// answer serves all.
type Call struct {
	group *Group
	again bool // it is a replay
	begun time.Time
	first Leader

	// done is closed when there is a result. more receives when a member that has joined
	// must lead as well. Both are nil until a member joins.
	done chan struct{}
	more chan struct{}

	// Guarded by the groups' lock.
	joiners int
	leaders []*Leader  // whose asks run
	one     [1]*Leader // memory for leaders, usually enough
	overdue bool       // the next member that comes leads
	freed   time.Time  // when an event last made a member lead that had joined
	result  *Result    // set before done is closed
}

// Leader is a member of the group that asks the backend for the call.
type Leader struct {
	call   *Call
	cancel func()
	left   bool // its client is gone; guarded by the groups' lock
}

// slowAfter is how old a call must be before an event makes one more member lead. Until
// then the backend is likely to answer, and each leader is one more ask at a slow backend.
const slowAfter = time.Second

// Done is closed when the call has a result.
func (c *Call) Done() <-chan struct{} { return c.done }

// Result returns the result of a call that has ended.
func (c *Call) Result() *Result { return c.result }

// More receives when a member that has joined must call [Call.Lead].
func (c *Call) More() <-chan struct{} { return c.more }

// Lead makes a member that has joined a leader, if the backend must still be asked once
// more. Otherwise it returns nil.
func (c *Call) Lead(cancel func()) *Leader {
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.result != nil || !c.overdue {
		return nil
	}
	c.joiners--
	return c.lead(cancel)
}

// Slow reports whether the backend takes long to answer.
func (c *Call) Slow() bool { return time.Since(c.begun) >= slowAfter }

// LeadOnEvent is Lead for a member that has heard of an event since it joined. The backend
// may answer an ask that begins now, though it does not answer the one before. Of all
// members that have heard of the event, one leads. If wait is not 0, the call is not slow
// yet, and the member must call LeadOnEvent again after it.
func (c *Call) LeadOnEvent(heard time.Time, cancel func()) (leader *Leader, wait time.Duration) {
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.result != nil || !c.freed.Before(heard) {
		return nil, 0
	}
	if wait = slowAfter - time.Since(c.begun); wait > 0 {
		return nil, wait
	}
	c.freed = time.Now()
	c.joiners--
	return c.lead(cancel), 0
}

// lead begins an ask. The caller holds the groups' lock.
func (c *Call) lead(cancel func()) *Leader {
	leader := &c.first
	if leader.call != nil {
		leader = new(Leader)
	}
	*leader = Leader{call: c, cancel: cancel}
	c.leaders = append(c.leaders, leader)
	c.overdue = false
	c.boundLeft()
	return leader
}

// maxLeft is how many asks of one call go on after their clients have left.
const maxLeft = 3

// boundLeft cancels the oldest of those asks, if there are more. The caller holds the
// groups' lock.
func (c *Call) boundLeft() {
	left := 0
	for _, leader := range slices.Backward(c.leaders) {
		if leader.left {
			if left++; left > maxLeft {
				leader.cancel()
			}
		}
	}
}

// JoinerLeft is called when a member that joined no longer waits.
func (c *Call) JoinerLeft() {
	s := c.group.groups
	s.mu.Lock()
	c.joiners--
	abandoned := c.abandoned()
	s.mu.Unlock()
	cancel(abandoned)
}

// LeaderLeft is called when the leader's client has left. The ask goes on as long as others
// wait for the call. Otherwise it is canceled, even if its answer already streams to that
// client.
func (l *Leader) LeaderLeft() {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	l.left = true
	abandoned := c.abandoned()
	if c.joiners == 0 && !slices.Contains(abandoned, l) {
		abandoned = append(abandoned, l) // its call has ended
	}
	s.mu.Unlock()
	cancel(abandoned)
}

// abandoned returns the leaders whose asks no request waits for. The caller holds the
// groups' lock.
func (c *Call) abandoned() (leaders []*Leader) {
	if c.joiners > 0 {
		return nil
	}
	for _, leader := range c.leaders {
		if leader.left {
			leaders = append(leaders, leader)
		}
	}
	if len(leaders) == len(c.leaders) {
		c.detach()
	}
	return leaders
}

func cancel(leaders []*Leader) {
	for _, leader := range leaders {
		leader.cancel()
	}
}

// Overdue is called when the backend should have begun to answer by now. One more member
// leads.
func (l *Leader) Overdue() {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.result != nil || !slices.Contains(c.leaders, l) {
		return
	}
	c.overdue = true
	if c.joiners > 0 {
		select {
		case c.more <- struct{}{}:
		default:
		}
	}
}

// Alone closes the call to further members, unless some have joined already or it is a
// replay that others need as well. It reports whether the answer is for the leader only.
func (l *Leader) Alone() bool {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.joiners > 0 || len(c.leaders) > 1 || c.awaited() {
		return false
	}
	c.detach()
	return true
}

// awaited reports whether others are sure to need the answer: what has released the leader
// has released them as well, or will. The caller holds the groups' lock.
func (c *Call) awaited() bool {
	g := c.group
	others := g.members - 1
	if g.reusing {
		others--
	}
	return c.again && others > 0 && g.call == c && !g.moved()
}

// detach closes the call to joiners. The caller holds the groups' lock.
func (c *Call) detach() {
	if c.group.call == c {
		c.group.call = nil
	}
}

// Finish ends the leader's ask, and with it the call. If the result serves all, the asks of
// the other leaders are canceled. Then it also serves members that come later, until there
// is an event on their channels. A result without an answer, or of an ask that has failed,
// does not, because later members would always fail. Nothing is kept for a group without
// members. A failure does not end a call that has other leaders.
//
// Finish reports whether this is the first result of the call.
func (l *Leader) Finish(r *Result) (first bool) {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	c.drop(l)
	var others []*Leader
	if first = c.result == nil; first && !(r.fails() && len(c.leaders) > 0) {
		c.end(r)
		if r.serves() {
			others = c.leaders
			c.leaders = nil
		}
	}
	s.mu.Unlock()
	cancel(others)
	return first
}

// GiveUp ends an ask that was canceled. If it was the last one, the call ends without an
// answer, and all members that have joined ask again at the given time.
func (l *Leader) GiveUp(retry time.Time) {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	c.drop(l)
	if c.result == nil && len(c.leaders) == 0 {
		c.end(&Result{Retry: retry})
	}
}

// Served returns the result of another leader that has come first, if it serves all.
// Otherwise it returns nil.
func (l *Leader) Served() *Result {
	c := l.call
	s := c.group.groups
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.result == nil || !c.result.serves() {
		return nil
	}
	return c.result
}

// drop removes a leader whose ask has ended. The caller holds the groups' lock.
func (c *Call) drop(l *Leader) {
	c.leaders = slices.DeleteFunc(c.leaders, func(other *Leader) bool { return other == l })
}

// end ends the call. The caller holds the groups' lock.
func (c *Call) end(r *Result) {
	g := c.group
	if g.call == c {
		g.call = nil
		if g.members > 0 && r.Answer != nil && r.Err == nil && r.Retry.IsZero() && !g.moved() {
			g.keep(r)
		}
	}
	c.result = r
	c.joiners = 0
	if c.done != nil {
		close(c.done)
	}
}
