// Package brokertest holds a broker to what [brokers.Broker] promises: the same tests
// for every broker.
package brokertest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// Service is what the processes of one site have in common: a server, or nothing but
// the one process that there is.
type Service struct {
	// Join begins a process that nobody has started yet. It ends with the test, unless
	// it leaves before.
	Join func(t *testing.T) *Process

	// Restart ends the server, and starts it again with all that it held. It is nil
	// where there is none.
	Restart func(t *testing.T)

	// Flush has the server lose all that it holds.
	Flush func(t *testing.T)
}

// Process is one of those that share a service. Only the broker is needed where there
// is no server.
type Process struct {
	brokers.Broker

	// Leave ends it.
	Leave func()

	// It has connections of its own. Cut ends its connections, and has each new one fail. Stall has nothing arrive
	// any more on them. Heal ends both.
	Cut, Stall, Heal func()
}

// roomy are limits that the tests which are not about them do not meet.
var roomy = brokers.History{Events: 1_000_000, MaxAge: time.Hour, MaxBytes: 1_000_000_000}

// all is a limit that nothing meets.
const all = math.MaxInt

// suite is one test with a service of its own.
type suite struct {
	*testing.T
	service Service
}

// promise is a test, by what it holds a broker to.
type promise struct {
	name string
	test func(*suite)
}

// Run holds a broker to its promises. Each test begins a service of its own, which is
// empty.
func Run(t *testing.T, begin func(t *testing.T) Service) {
	run(t, begin, []promise{
		{"EventsOfAChannelComeInOneOrder", inOneOrder},
		{"AnEventComesAsItWasPublished", asPublished},
		{"AMessageMayBeLarge", large},
		{"AnIDIsOneEvent", identified},
		{"ManyChannelsAreNoBurden", manyChannels},
		{"WhoLeavesIsNotKeptWaiting", cancelled},
		{"ABrokerThatIsWellSaysSo", healthy},

		{"TheHistoryHasWhatCameLive", historyOfAll},
		{"AnEventIsInTheHistoryWhenItIsDelivered", rememberedFirst},
		{"WhoReadsWhileOthersPublishMissesNothing", readWhilePublished},
		{"TheHistoryKeepsSoManyEventsOfAChannel", limitedByCount},
		{"TheHistoryKeepsSoMuch", limitedByBytes},
		{"TheHistoryKeepsEventsForSoLong", limitedByAge},
		{"AnEventIsRememberedAsLongAsItsPublisherSays", limitedByLifetime},
		{"OtherLimitsAndReceiversAreInForceAtOnce", startedAgain},
		{"APositionOfNoEventOfThisBrokerIsLost", foreignPositions},
		{"TheNewestIsThatOfTheChannels", newest},
	})
}

// RunShared holds a broker to its promises that has a server, which several processes
// share.
func RunShared(t *testing.T, begin func(t *testing.T) Service) {
	Run(t, begin)
	run(t, begin, []promise{
		{"AClientOfAProcessThatIsAheadWaitsForTheRest", ahead},
		{"AProcessThatJoinsLateHasTheHistory", late},
		{"WhileTheServerIsAwayEventsAreAcceptedAndComeLater", cutOff},
		{"ASilentServerCountsAsAway", stalled},
		{"AProcessStartsThoughTheServerIsAway", startedAlone},
		{"ARestartOfTheServerLosesNothing", restarted},
		{"WhenTheServerHasLostAllEverybodyIsTold", flushed},
		{"ClientsThatHopMissNothingAndHearNothingTwice", hopping},
	})
}

func run(t *testing.T, begin func(t *testing.T) Service, promises []promise) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.test(&suite{t, begin(t)}) })
	}
}

// join begins a process, with room for everything.
func (s *suite) join() *Member { return s.joinWith(roomy) }

func (s *suite) joinWith(limits brokers.History) *Member {
	s.Helper()
	p := s.service.Join(s.T)
	m := &Member{Broker: p, process: p}
	m.Start(limits, m.Receive)
	return m
}

// members are n processes, or the one that there is, and where events stand before
// there are any.
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

// prompt is how long what is not to wait may take, on a busy machine.
const prompt = 10 * time.Second

// await returns when something is so. On a busy machine it may take a while.
func (s *suite) await(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("%s: that does not come", what)
		}
	}
}

// awaitMessages returns when each of the processes has received so many messages.
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

// check wants these texts in the history after a position, and it complete or not.
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
