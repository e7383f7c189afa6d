package replica

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

// roomy are limits that no test exceeds unless it is about limits.
var roomy = brokers.History{Events: 100_000, MaxAge: 2 * time.Hour, MaxBytes: 1_000_000_000}

// process is one of the processes that share a log.
type process struct {
	*Broker
	*link
	logged *observer.ObservedLogs
	member *brokertest.Member
}

// join starts a process that ends with the test. The changes are made to its link first.
func join(t *testing.T, s *server, change ...func(*link)) *process {
	t.Helper()
	p := &process{link: newLink(s)}
	for _, change := range change {
		change(p.link)
	}
	p.start(t, p.source(""))
	t.Cleanup(func() {
		if err := p.Leave(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// start starts the process for the first time. When it returns, the process has received
// everything that arrives without delay.
func (p *process) start(t *testing.T, source Source) {
	t.Helper()
	p.Broker = p.joined(t, source)
	p.member = brokertest.NewMember(p.Broker)
	p.Broker.Start(roomy, p.member.Receive)
	synctest.Wait()
}

// configured returns the broker of another configuration of the process, with the given
// settings.
func (p *process) configured(t *testing.T, settings string) *Broker {
	t.Helper()
	return p.joined(t, p.source(settings))
}

func (p *process) joined(t *testing.T, source Source) *Broker {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	p.logged = logged
	return Join(source, zap.New(core))
}

func (p *process) source(settings string) Source {
	return Source{
		Name:     fmt.Sprintf("%p", p.link),
		Settings: settings,
		Open: func() (Log, error) {
			p.set(func() { p.opened++ })
			return p.link, nil
		},
	}
}

// texts returns the texts of the received events.
func (p *process) texts() (texts []string) {
	for _, e := range p.member.Received() {
		texts = append(texts, brokertest.Text(e))
	}
	return texts
}

func say(channel, text string) brokers.Publication {
	return brokers.Publication{Channel: channel, Message: &brokers.Message{Body: []byte(text)}}
}

func wake(channel string) brokers.Publication { return brokers.Publication{Channel: channel} }

func named(id string, p brokers.Publication) brokers.Publication {
	p.ID = id
	return p
}

func (p *process) publish(t *testing.T, publication brokers.Publication) brokers.Published {
	t.Helper()
	published, err := p.Publish(t.Context(), publication)
	if err != nil {
		t.Fatal(err)
	}
	return published
}

// checkReceived fails the test unless the process has received these events, after the
// loss that it reports when it starts.
func (p *process) checkReceived(t *testing.T, want ...string) {
	t.Helper()
	got := p.texts()
	if len(got) == 0 || got[0] != "lost" {
		t.Errorf("received %q, want it to begin with a loss", got)
		return
	}
	if !slices.Equal(got[1:], want) {
		t.Errorf("received %q, want %q", got[1:], want)
	}
}

// checkEvents fails the test unless these are all events after a position.
func (p *process) checkEvents(t *testing.T, after brokers.Position, channels []string, want ...string) (last brokers.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, complete, err := p.Broker.Events(ctx, channels, after, 1_000_000)
	if err != nil || !complete {
		t.Errorf("after %v: complete %t, %v", after, complete, err)
	}
	last = after
	var got []string
	for _, e := range events {
		got, last = append(got, brokertest.Text(e)), e.Position
	}
	if !slices.Equal(got, want) {
		t.Errorf("after %v: %q, want %q", after, got, want)
	}
	return last
}

// checkLost fails the test unless the events after a position are incomplete.
func (p *process) checkLost(t *testing.T, after brokers.Position, channels ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if events, complete, err := p.Broker.Events(ctx, channels, after, 9); complete || err != nil {
		t.Errorf("after %v: %d events, complete %t, %v", after, len(events), complete, err)
	}
}

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// settle waits until everything in flight has arrived, including periodic work.
func settle() {
	time.Sleep(20 * time.Second)
	synctest.Wait()
}
