package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// compared holds the figures of parker and of a bare net/http server whose handler waits
// on a channel.
type compared struct {
	Clients   int `json:"clients"`
	Rounds    int `json:"rounds"`    // the number of messages to the clients of each
	Publishes int `json:"publishes"` // the number of publishes to each where no poll waits

	Poll    *pair `json:"poll_us"`              // the processor time of the server for a released poll
	Last    *pair `json:"last_ms"`              // the time from a publish to the last client
	Publish *pair `json:"publish_us"`           // the processor time of the server for a publish where no poll waits
	Rate    *pair `json:"publishes_per_second"` // the rate of such publishes
}

// pair is a figure of both servers.
type pair struct {
	Parker float64 `json:"parker"`
	Bare   float64 `json:"bare"`
	Ratio  float64 `json:"ratio"` // of parker to bare
}

func pairOf(both [2]*contender, figure func(*contender) float64) *pair {
	parker, bare := figure(both[0]), figure(both[1])
	return &pair{parker, bare, parker / bare}
}

// contender is a server that is compared, and the clients that poll it.
type contender struct {
	server *process
	target *target
	crowd  *crowd

	rounds  []*round
	polling time.Duration // the processor time of all rounds

	batches    []time.Duration // the time that each batch of publishes took
	publishing time.Duration   // the processor time of all batches
}

// publishers is the number of connections that a batch of publishes uses.
const publishers = 20

// comparedChannel is the channel that the clients wait on.
const comparedChannel = "events"

func newContender(server *process, bar *progress) *contender {
	t := server.target(comparedChannel, bar)
	return &contender{server: server, target: t, crowd: newCrowd(t.url, nil, false)}
}

// measureCompared compares parker with a bare server. Both take turns, so that other work
// on the machine disturbs both.
func measureCompared(ctx context.Context, o *options, bar *progress, r *report) error {
	s, err := startSubject(ctx, sharedPolls)
	if err != nil {
		return err
	}
	defer s.stop()
	bare, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer bare.stop()
	both := [2]*contender{newContender(s.caddy, bar), newContender(bare, bar)}
	for _, c := range both {
		defer c.crowd.leave()
		if err := c.target.connect(ctx, c.crowd, o.compared); err != nil {
			return err
		}
	}
	r.Compared = &compared{Clients: o.compared}
	if err := r.Compared.release(ctx, both, o, bar); err != nil {
		return err
	}
	if err := r.Compared.publish(ctx, both, o, bar); err != nil {
		return err
	}
	if _, err := processorTime(os.Getpid()); err != nil {
		r.Compared.Poll, r.Compared.Publish = nil, nil
		r.missing("compared.poll_us", err)
		r.missing("compared.publish_us", err)
	}
	return nil
}

// release publishes messages to the clients of both in turns for the duration, at least
// one to each.
func (f *compared) release(ctx context.Context, both [2]*contender, o *options, bar *progress) error {
	if err := inTurns(ctx, both, 0, (*contender).round, func(time.Duration) {}); err != nil {
		return err
	}
	for _, c := range both { // the first round has made both allocate what they reuse
		c.rounds, c.polling = nil, 0
	}
	if err := profiled(o.profile, "polls", both, func() error {
		return inTurns(ctx, both, o.duration, (*contender).round, func(passed time.Duration) {
			bar.show("comparing polls", int(passed), int(o.duration))
		})
	}); err != nil {
		return err
	}
	f.Rounds = len(both[0].rounds)
	polls := float64(f.Rounds * f.Clients)
	f.Poll = pairOf(both, func(c *contender) float64 { return float64(c.polling.Nanoseconds()) / 1000 / polls })
	f.Last = pairOf(both, func(c *contender) float64 { return releaseOf(c.rounds).Last })
	return nil
}

// publish publishes messages to both in turns for the duration, after all clients have
// left.
func (f *compared) publish(ctx context.Context, both [2]*contender, o *options, bar *progress) error {
	for _, c := range both {
		c.crowd.leave()
		if err := c.target.await(ctx, c.crowd, 0); err != nil {
			return err
		}
	}
	if err := profiled(o.profile, "publishes", both, func() error {
		return inTurns(ctx, both, o.duration, (*contender).batch, func(passed time.Duration) {
			bar.show("comparing publishes", int(passed), int(o.duration))
		})
	}); err != nil {
		return err
	}
	f.Publishes = len(both[0].batches) * batch
	f.Publish = pairOf(both, func(c *contender) float64 {
		return float64(c.publishing.Nanoseconds()) / 1000 / float64(f.Publishes)
	})
	f.Rate = pairOf(both, func(c *contender) float64 { return batch / median(c.batches).Seconds() })
	return nil
}

// inTurns does something with each in turn, at least once and until the duration has
// passed.
func inTurns(ctx context.Context, both [2]*contender, duration time.Duration, do func(*contender, context.Context) error, show func(passed time.Duration)) error {
	for begin := time.Now(); ; {
		for _, c := range both {
			if err := do(c, ctx); err != nil {
				return err
			}
		}
		passed := time.Since(begin)
		if passed >= duration {
			return nil
		}
		show(passed)
	}
}

// round publishes a message, and returns when all clients have received it and wait for
// the next one.
func (c *contender) round(ctx context.Context) error {
	spent, err := c.spent(func() error {
		r, err := c.crowd.hear(ctx, func(ctx context.Context) error {
			return c.server.publish(ctx, comparedChannel, message)
		})
		if err != nil {
			return err
		}
		if missed := r.want - len(r.sorted()); missed > 0 {
			return fmt.Errorf("%d of %d clients did not receive a message within %s", missed, r.want, patience)
		}
		c.rounds = append(c.rounds, r)
		return c.target.await(ctx, c.crowd, r.want)
	})
	c.polling += spent
	return err
}

// batch sends a batch of publishes.
func (c *contender) batch(ctx context.Context) error {
	spent, err := c.spent(func() error {
		begin := time.Now()
		if err := publishBatch(ctx, c.server.hook, comparedChannel, batch, publishers); err != nil {
			return err
		}
		c.batches = append(c.batches, time.Since(begin))
		return nil
	})
	c.publishing += spent
	return err
}

// spent returns the processor time that the server uses meanwhile. It is 0 if that cannot
// be measured.
func (c *contender) spent(do func() error) (time.Duration, error) {
	before, unknown := processorTime(c.server.pid)
	if err := do(); err != nil {
		return 0, err
	}
	after, err := processorTime(c.server.pid)
	if errors.Join(unknown, err) != nil {
		return 0, nil
	}
	return after - before, nil
}
