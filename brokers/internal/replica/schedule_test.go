package replica

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers/brokertest"
)

// circumstances selects what can happen to some processes, one server and their clients.
type circumstances struct {
	latency   time.Duration // of links, at most
	away      bool          // links are cut, fall silent and recover
	partial   bool          // appending fails although part or all of the batch was added, or is added late
	unordered bool          // that part may be any part of the batch
	broken    bool          // reading fails at random entries
	losses    bool          // the log is trimmed and emptied
	leaving   bool          // processes end and others start
	ids       bool          // publishers set IDs, sometimes the same at two processes
}

// schedule is one random sequence of these.
type schedule struct {
	circumstances
	t          *testing.T
	random     *rand.Rand
	server     *server
	processes  []*process
	clients    []*brokertest.Client
	publishing sync.WaitGroup
	ledger     brokertest.Ledger
}

var scheduleChannels = []string{"a", "b", "c"}

func TestSchedules(t *testing.T) {
	for name, c := range map[string]circumstances{
		"healthy":        {latency: 30 * time.Millisecond},
		"names":          {latency: 80 * time.Millisecond, ids: true},
		"away":           {latency: 100 * time.Millisecond, away: true},
		"partial":        {latency: 50 * time.Millisecond, partial: true},
		"unordered":      {latency: 50 * time.Millisecond, partial: true, unordered: true, away: true},
		"broken":         {latency: 50 * time.Millisecond, broken: true},
		"all but losses": {latency: 100 * time.Millisecond, away: true, partial: true, broken: true, leaving: true},
		"losses":         {latency: 50 * time.Millisecond, away: true, losses: true},
		"all":            {latency: 200 * time.Millisecond, away: true, partial: true, unordered: true, broken: true, losses: true, leaving: true},
	} {
		for seed := range uint64(25) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := &schedule{circumstances: c, t: t, random: rand.New(rand.NewPCG(seed, 1))}
					s.ledger.Losses, s.ledger.Unordered = c.losses, c.unordered
					s.run()
				})
			})
		}
	}
}

func (s *schedule) run() {
	s.server = newServer()
	s.server.step = 1 + s.random.Uint64N(3)
	for range 2 + s.random.IntN(2) {
		s.processes = append(s.processes, s.join())
	}
	for range 4 {
		channels := scheduleChannels[s.random.IntN(2) : 2+s.random.IntN(2)]
		s.clients = append(s.clients, brokertest.Listen(s.any().member, channels...))
	}
	for range 150 {
		s.happen()
		synctest.Wait()
		if s.random.IntN(2) == 0 {
			time.Sleep(time.Duration(s.random.IntN(200)) * time.Millisecond)
		}
	}
	s.heal()
	settle()
	s.publishing.Wait()
	s.check()
}

// join starts a process and waits until it has read the log.
func (s *schedule) join() *process {
	p := join(s.t, s.server, func(l *link) {
		random := rand.New(rand.NewPCG(s.random.Uint64(), 2)) // l.mu guards it
		l.batch = 1 + random.IntN(20)
		l.latency = time.Duration(random.Int64N(int64(s.latency)))
		if s.partial {
			l.adding = func(entries []Entry) verdict { return s.judge(random, entries) }
		}
		if s.broken {
			l.reading = func(entries []Entry) (int, error) {
				if random.IntN(12) == 0 {
					return random.IntN(len(entries) + 1), errCut
				}
				return len(entries), nil
			}
		}
	})
	for !p.Broker.Health().Reachable {
		time.Sleep(time.Second)
	}
	return p
}

func (s *schedule) any() *process { return s.processes[s.random.IntN(len(s.processes))] }

func (s *schedule) members() (members []*brokertest.Member) {
	for _, p := range s.processes {
		members = append(members, p.member)
	}
	return members
}

// judge decides the outcome of appending a batch.
func (s *schedule) judge(random *rand.Rand, entries []Entry) verdict {
	switch random.IntN(8) {
	case 0: // some entries are added, or none, or all
		return verdict{add: s.part(random, entries), err: errCut}
	case 1: // some are added after the caller has given up
		return verdict{add: s.part(random, entries), late: 6 * time.Second, err: errCut}
	case 2:
		return verdict{add: entries, late: time.Duration(random.IntN(3000)) * time.Millisecond}
	}
	return verdict{add: entries}
}

func (s *schedule) part(random *rand.Rand, entries []Entry) (part []Entry) {
	if !s.unordered {
		return entries[:random.IntN(len(entries)+1)]
	}
	for _, e := range entries {
		if random.IntN(2) == 0 {
			part = append(part, e)
		}
	}
	return part
}

// happen does one random thing.
func (s *schedule) happen() {
	p := s.any()
	switch n := s.random.IntN(40); {
	case n < 2 && s.away:
		p.turn([]condition{open, open, cut, cut, silent}[s.random.IntN(5)])
	case n < 3 && s.losses:
		s.server.trim(s.random.IntN(10))
	case n < 4 && s.losses && s.random.IntN(4) == 0:
		s.server.empty()
	case n < 5 && s.leaving && s.random.IntN(4) == 0:
		s.replace(p)
	case n < 20:
		s.publish(p)
	default:
		s.clients[s.random.IntN(len(s.clients))].Step(s.t.Context(), s.random, s.members())
	}
}

// replace ends a process that has nothing to send and starts another.
func (s *schedule) replace(p *process) {
	s.publishing.Wait()
	if p.Broker.Health().Waiting > 0 || p.now().condition != open {
		return
	}
	i := slices.Index(s.processes, p)
	s.processes[i] = s.join()
	for _, c := range s.clients {
		if c.At() == p.member {
			c.Hop(s.processes[i].member)
		}
	}
}

func (s *schedule) publish(p *process) {
	channel, id := scheduleChannels[s.random.IntN(len(scheduleChannels))], ""
	if s.ids && s.random.IntN(2) == 0 {
		id = fmt.Sprint("id", s.random.IntN(10))
	}
	message := s.random.IntN(4) > 0
	s.publishing.Go(func() { s.ledger.Publish(context.Background(), p.member, channel, id, message) })
	synctest.Wait() // the order of the publications is then known
}

func (s *schedule) heal() {
	for _, p := range s.processes {
		p.set(func() { p.adding, p.reading = nil, nil })
		p.turn(open)
	}
}

func (s *schedule) check() {
	s.ledger.CheckPublishers(s.t, 5*time.Second)
	for _, p := range s.processes {
		if h := p.Broker.Health(); !h.Reachable || h.Waiting > 0 || h.Lag > 2*time.Second {
			s.t.Errorf("after all was healed: %+v", h)
		}
		s.ledger.CheckMember(s.t, p.member)
	}
	for _, c := range s.clients {
		c.Finish(s.t.Context(), s.any().member)
		s.ledger.CheckClient(s.t, c)
	}
}
