package brokertest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// hopping has many publishers, and clients that change between processes, while
// connections are cut, stall and heal, and the server is restarted.
func hopping(s *suite) {
	const storm = 3 * time.Second
	members, _ := s.members(3)
	channels := []string{"a", "b", "c", "rooms/7"}
	end := time.Now().Add(storm)
	var ledger Ledger
	var publishing, listening sync.WaitGroup
	for _, m := range members {
		for i, channel := range channels {
			publishing.Go(func() {
				for n := 0; time.Now().Before(end); n++ {
					ledger.Publish(s.Context(), m, channel, "", (n+i)%4 > 0)
					time.Sleep(rand.N(60 * time.Millisecond))
				}
			})
		}
	}
	clients := make([]*Client, 12)
	for i := range clients {
		clients[i] = Listen(members[i%3], channels[i%4], channels[(i+1)%4])
		listening.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for time.Now().Before(end) {
				clients[i].Step(s.Context(), random, members)
				time.Sleep(rand.N(10 * time.Millisecond))
			}
		})
	}
	s.rage(members, end)
	publishing.Wait()
	listening.Wait()
	s.await("everything", func() bool {
		for _, m := range members {
			if h := m.Health(); !h.Reachable || h.Waiting > 0 || len(m.Texts()) < ledger.Messages() {
				return false
			}
		}
		return true
	})
	ledger.CheckPublishers(s, prompt)
	for _, m := range members {
		ledger.CheckMember(s, m)
	}
	for _, c := range clients {
		c.Finish(s.Context(), members[rand.N(3)])
		ledger.CheckClient(s, c)
	}
}

// rage cuts and stalls connections until end and restarts the server once, then heals
// all connections.
func (s *suite) rage(members []*Member, end time.Time) {
	restart := time.Now().Add(time.Until(end) / 2)
	for time.Now().Before(end) {
		p := members[rand.N(len(members))].process
		[]func(){p.Cut, p.Stall, p.Heal, p.Heal}[rand.N(4)]()
		if !restart.IsZero() && time.Now().After(restart) {
			s.service.Restart(s.T)
			restart = time.Time{}
		}
		time.Sleep(rand.N(300 * time.Millisecond))
	}
	for _, m := range members {
		m.process.Heal()
	}
}
