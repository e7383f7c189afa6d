package asker

import (
	"math/rand/v2"
	"time"
)

// A failed replay is repeated after a back-off that doubles from the first to the last of
// these, and is shortened at random by up to a half.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// Backoff returns how long to wait after a number of failures in a row.
func Backoff(failures int) time.Duration {
	d := min(firstBackoff<<min(failures, 10), lastBackoff)
	return d - rand.N(d/2)
}

// nextRetry returns when to ask again if an ask fails now.
func (a *Asker) nextRetry() time.Time { return time.Now().Add(Backoff(a.failures)) }

// Refuse makes the request ask again after a back-off.
func (a *Asker) Refuse() Reply { return a.refuse(a.nextRetry()) }

// refuse makes the request ask again at a time, which all that share a replay have in
// common.
func (a *Asker) refuse(retry time.Time) Reply {
	a.failures++
	a.Retry = retry
	return Reply{Kind: Refused}
}

// Retries reports whether the last replay has failed and there is time for another one.
func (a *Asker) Retries() bool { return !a.Retry.IsZero() && a.Retry.Before(a.space.Deadline) }

// leastReplay is how long a replay may take that begins just before the deadline. A backend
// that changes a session with each answer would reject the client if the answer was lost.
const leastReplay = 250 * time.Millisecond

// replayUntil returns when a replay that begins now and gets no answer is given up.
func (a *Asker) replayUntil() time.Time {
	now := time.Now()
	if a.Streams {
		return now.Add(a.ReplayTimeout)
	}
	if least := now.Add(leastReplay); a.space.Deadline.Before(least) {
		return least
	}
	return a.space.Deadline
}
