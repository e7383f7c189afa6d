// Package brokertest tests that a broker keeps the promises of [brokers.Broker]. All
// brokers run the same tests.
package brokertest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Service is what the processes of one site share: a server, or nothing if the site has
// only one process.
type Service struct {
	// Join returns a new process whose broker is not started yet. The process ends with
	// the test, unless Leave ends it before.
	Join func(t *testing.T) *Process

	// Restart stops the server and starts it again with all its data. It is nil if
	// there is no server.
	Restart func(t *testing.T)

	// Flush deletes all data of the server.
	Flush func(t *testing.T)
}

// Process is one process of a service. Only Broker is needed if there is no server.
type Process struct {
	brokers.Broker

	// Leave ends the process.
	Leave func()

	// Each process has connections of its own. Cut closes them and makes new ones
	// fail. Stall keeps everything from arriving on them. Heal ends both.
	Cut, Stall, Heal func()
}

// roomy are limits that no test exceeds unless it is about limits.
var roomy = brokers.History{Events: 1_000_000, MaxAge: time.Hour, MaxBytes: 1_000_000_000}

// all is a limit that is never reached.
const all = math.MaxInt

// suite is one test with a service of its own.
type suite struct {
	*testing.T
	service Service
}

// promise is a named test.
type promise struct {
	name string
	test func(*suite)
}

// Run tests a broker. Each test calls begin for an empty service of its own.
func Run(t *testing.T, begin func(t *testing.T) Service) {
	run(t, begin, []promise{
		{"EventsOfChannelArriveInOneOrder", inOneOrder},
		{"EventArrivesUnchanged", asPublished},
		{"LargeMessageArrives", large},
		{"RepeatedIDIsDuplicate", identified},
		{"ManyChannelsWork", manyChannels},
		{"EventsEndsWithItsContext", cancelled},
		{"HealthIsReachable", healthy},

		{"HistoryHasAllEvents", historyOfAll},
		{"EventIsRememberedBeforeItIsDelivered", rememberedFirst},
		{"EventsMissesNothingDuringPublish", readWhilePublished},
		{"HistoryLimitsEventsOfChannel", limitedByCount},
		{"HistoryLimitsBytes", limitedByBytes},
		{"HistoryLimitsAge", limitedByAge},
		{"LifetimeIsApplied", limitedByLifetime},
		{"StartReplacesLimitsAndReceiver", startedAgain},
		{"ForeignPositionIsLost", foreignPositions},
		{"NewestIsThatOfChannels", newest},
	})
}

// RunShared tests a broker whose server several processes share.
func RunShared(t *testing.T, begin func(t *testing.T) Service) {
	Run(t, begin)
	run(t, begin, []promise{
		{"EventsWaitsForPositionOfProcessAhead", ahead},
		{"LateProcessHasHistory", late},
		{"PublishIsAcceptedWhileServerIsAway", cutOff},
		{"SilentServerCountsAsUnreachable", stalled},
		{"ProcessStartsWithoutServer", startedAlone},
		{"ServerRestartLosesNothing", restarted},
		{"EmptiedServerIsReported", flushed},
		{"HoppingClientGetsEachEventOnce", hopping},
	})
}

func run(t *testing.T, begin func(t *testing.T) Service, promises []promise) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.test(&suite{t, begin(t)}) })
	}
}

// join starts a process with roomy limits.
func (s *suite) join() *Member { return s.joinWith(roomy) }

func (s *suite) joinWith(limits brokers.History) *Member {
	s.Helper()
	p := s.service.Join(s.T)
	m := &Member{Broker: p, process: p}
	m.Start(limits, m.Receive)
	return m
}

// members starts n processes, or one if there is no server, and returns the position
// before the first event.
func (s *suite) members(n int) (members []*Member, start brokers.Position) {
	s.Helper()
	if s.service.Restart == nil {
		n = 1
	}
	for range n {
		members = append(members, s.join())
	}
	return members, members[0].Position()
}

// prompt is how long an operation that must not wait may take on a busy machine.
const prompt = 10 * time.Second

// await returns once is returns true, and fails the test after 20 seconds.
func (s *suite) await(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("timed out waiting for %s", what)
		}
	}
}

// awaitMessages returns once each of the processes has received n messages.
func (s *suite) awaitMessages(members []*Member, n int) {
	s.Helper()
	for _, m := range members {
		s.await("all messages", func() bool { return len(m.Texts()) >= n })
	}
}

func (s *suite) publish(m *Member, p brokers.Publication) brokers.Published {
	s.Helper()
	published, err := m.Publish(s.Context(), p)
	if err != nil {
		s.Fatal(err)
	}
	return published
}

// read reads the history after a position, page by page.
func (s *suite) read(m *Member, channels []string, after brokers.Position, page int) (events []brokers.Event, complete bool) {
	s.Helper()
	complete = true
	for {
		missed, all, err := m.Events(s.Context(), channels, after, page)
		if err != nil {
			s.Fatal(err)
		}
		events, complete = append(events, missed...), complete && all
		if len(messages(missed)) < page {
			return events, complete
		}
		after = missed[len(missed)-1].Position
	}
}

// check fails the test unless the history after a position has these texts and is, or
// is not, complete.
func (s *suite) check(m *Member, channel string, after brokers.Position, complete bool, want ...string) {
	s.Helper()
	events, gotComplete := s.read(m, []string{channel}, after, all)
	if got := texts(events); !slices.Equal(got, want) || gotComplete != complete {
		s.Errorf("on %s after %v: %.200q, complete %t; want %.200q, %t", channel, after, got, gotComplete, want, complete)
	}
}

func say(channel, text string) brokers.Publication {
	return brokers.Publication{Channel: channel, Message: &brokers.Message{Body: []byte(text), ContentType: "text/plain"}}
}

func wake(channel string) brokers.Publication { return brokers.Publication{Channel: channel} }
