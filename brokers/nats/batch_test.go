package nats

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// A server gives such answers while its cluster changes leaders.
func TestReadAnswerRequiresWholeBatch(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	for answer, want := range map[string]struct{ ended, failed bool }{
		`{"type":"ack","seq":0,"msgs":10}`:                                                       {false, false},
		`{"type":"gap","last_seq":5,"seq":7}`:                                                    {false, false},
		`{"type":"err","seq":7,"error":{"code":400,"err_code":10054,"description":"too large"}}`: {false, true},
		`{"stream":"PARKER","seq":0,"error":{"code":503,"err_code":10023}}`:                      {false, true},
		`{"stream":"PARKER","seq":29,"batch":"a","count":19}`:                                    {false, true},
		`{"stream":"OTHER","seq":30,"batch":"a","count":20}`:                                     {false, true},
		`{"stream":"PARKER","seq":30,"batch":"a","count":20}`:                                    {true, false},
		`{}`: {false, true},
		``:   {false, true},
	} {
		ended, err := l.readAnswer(&nats.Msg{Data: []byte(answer)}, 20)
		if ended != want.ended || (err != nil) != want.failed {
			t.Errorf("%s: ended %t, %v", answer, ended, err)
		}
	}
	if _, err := l.readAnswer(&nats.Msg{Header: nats.Header{"Status": {"503"}}}, 20); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("without a leader: %v", err)
	}
}

func TestAppendFailsIfStreamIsGone(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	_, js := application(t, n.URL)
	if err := js.DeleteStream(t.Context(), defaultStream); err != nil {
		t.Fatal(err)
	}
	for _, last := range []uint64{1, leastTogether} {
		if err := l.Append(t.Context(), wakeUps("a", 1, last)); !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
			t.Errorf("%d entries: %v", last, err)
		}
	}
}
