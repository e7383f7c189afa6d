package lot

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A schedule is one order of the steps of several requests, publishers and others.
// Each step is one call of the lot, which nothing else can divide, so that to try
// all orders is to try all that can happen. Only the deadline queue works in two
// halves: it looks who is due, then ends each. A schedule comes in between by a
// bell: a hold that is due together with the requests, and before them. Its
// callback runs the steps that come between the halves.

// patience is how long all are held, and the time from one ring to the next.
const patience = time.Hour

// scenario is the steps that are put into all orders.
type scenario struct {
	promise  string
	seats    int // 0: no limit
	requests []request
	others   []string // programs such as "publish a, wake 0", each in its order
	rings    int      // how often time passes that need not
}

var scenarios = []scenario{
	{
		promise: "an event between note and park ends the park",
		requests: []request{
			{channels: "ab", interest: Messages, life: "register, note, park, note, park, close"},
			{channels: "b", interest: WakeUps, life: "register, note, park, close"},
		},
		others: []string{"publish a, message b"},
	},
	{
		promise: "the first message is kept, whatever else comes",
		requests: []request{
			{channels: "ab", interest: Messages, life: "register, note, park, note, park, close"},
			{channels: "ab", interest: MessagesOnly, life: "park, close"},
		},
		others: []string{"publish a, message a", "message b"},
	},
	{
		promise: "three requests on three channels",
		requests: []request{
			{channels: "ab", interest: Messages, life: "register, park, close"},
			{channels: "bc", interest: MessagesOnly, life: "register, park, close"},
			{channels: "ca", interest: WakeUps, life: "park, close"},
		},
		others: []string{"publish a, message c"},
	},
	{
		promise: "three requests join and leave one channel in any order",
		requests: []request{
			{channels: "a", interest: Messages, life: "register, close"},
			{channels: "ab", interest: Messages, life: "register, park, close"},
			{channels: "ba", interest: Messages, life: "register, park, leave, close"},
		},
		others: []string{"publish a"},
	},
	{
		promise: "a time-out meets an event, a wake and a newer request",
		requests: []request{
			{channels: "a", interest: Messages, life: "note, park, park, close"},
			{channels: "ab", interest: Messages, life: "park, close"},
		},
		others: []string{"publish a, wake 0", "supersede 1"},
		rings:  1,
	},
	{
		promise: "a time-out meets who leaves and parks again",
		requests: []request{
			{channels: "a", interest: Messages, life: "park, leave, park, leave, close"},
			{channels: "a", interest: Messages, life: "park, close"},
		},
		others: []string{"message a"},
		rings:  2,
	},
	{
		promise: "a stop meets all other ends of a park",
		requests: []request{
			{channels: "a", interest: Messages, life: "park, leave, park, close"},
			{channels: "ab", interest: Messages, life: "park, close"},
		},
		others: []string{"stop", "publish a"},
		rings:  1,
	},
	{
		promise: "a hold ends only at its deadline or when it is left",
		requests: []request{
			{channels: "a", interest: Messages, life: "note, hold, park, close"},
			{channels: "ab", interest: Messages, life: "hold, leave, close"},
		},
		others: []string{"publish a, stop", "wake 0, supersede 0"},
		rings:  1,
	},
	{
		promise: "a full lot parks nobody more and loses no place",
		seats:   1,
		requests: []request{
			{channels: "a", interest: Messages, life: "park, park, close"},
			{channels: "ab", interest: Messages, life: "park, leave, close"},
			{channels: "b", interest: Messages, subscriber: true, life: "open, park, close"},
		},
		others: []string{"publish a"},
	},
	{
		promise: "a subscriber takes all that came, in order",
		requests: []request{
			{channels: "ab", interest: Messages, subscriber: true, life: "open, park, take, park, take, close"},
			{channels: "b", interest: Messages, life: "park, close"},
		},
		others: []string{"publish b, message a, publish a, publish b"},
	},
	{
		promise: "a subscriber is told once what it has no room for",
		requests: []request{
			{channels: "ab", interest: MessagesOnly, subscriber: true, life: "park, take, park, take, close"},
		},
		others: []string{"message a, message a, message a, message a", "publish b"},
		rings:  1,
	},
}

func TestLotSchedulesEndAsInModel(t *testing.T) {
	if raceDetector {
		t.Skip("the steps of a schedule run one after the other: run it without the race detector, which makes it ten times as long")
	}
	for _, s := range scenarios {
		t.Run(s.promise, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var orders choices
				count := 0
				for more := true; more; more = orders.next() {
					run := start(s, &orders)
					run.steps()
					run.end()
					count++
					if run.failure != "" {
						t.Fatalf("%s\nafter: %s", run.failure, strings.Join(run.done, "; "))
					}
				}
				t.Logf("%d schedules", count)
			})
		})
	}
}

// choices leads through all ways to choose, one after the other.
type choices struct {
	made []choice
	at   int
}

type choice struct{ taken, of int }

// of chooses one of n.
func (c *choices) of(n int) int {
	if c.at == len(c.made) {
		c.made = append(c.made, choice{of: n})
	}
	c.at++
	return c.made[c.at-1].taken
}

// next goes on to the next way. False means that there is none.
func (c *choices) next() bool {
	c.at = 0
	for last := len(c.made) - 1; last >= 0; last-- {
		if c.made[last].taken++; c.made[last].taken < c.made[last].of {
			return true
		}
		c.made = c.made[:last]
	}
	return false
}
