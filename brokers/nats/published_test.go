package nats

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// published is a message of an application and the entry that it becomes.
var published = []struct {
	subject string
	header  nats.Header
	body    string
	want    replica.Entry // no event if the channel is empty
}{
	{"parker.rooms=2F7", nil, "", replica.Entry{Channel: "rooms/7"}},
	{"parker.rooms/7", nil, "", replica.Entry{Channel: "rooms/7"}},
	{"parker.käse=3d=2E", nil, "", replica.Entry{Channel: "käse=."}},
	{"parker.a", nil, `{"a":1}`, replica.Entry{Channel: "a", Message: &brokers.Message{Body: []byte(`{"a":1}`), ContentType: "application/json"}}},
	{"parker.a", nil, "hello", replica.Entry{Channel: "a", Message: &brokers.Message{Body: []byte("hello"), ContentType: "text/plain; charset=utf-8"}}},
	{"parker.a", nats.Header{"content-type": {"text/html"}, "PARKER-EVENT": {"note"}, "Parker-Id": {"7"}, "Parker-Expires": {"2.5"}, "X-Other": {"a", "b"}}, "<p>",
		replica.Entry{Channel: "a", ID: "7", Lifetime: 2500 * time.Millisecond, Message: &brokers.Message{Body: []byte("<p>"), ContentType: "text/html", Type: "note"}}},
	{"parker.a", nats.Header{"Parker-Expires": {"0"}}, "", replica.Entry{Channel: "a", Lifetime: -1}},
	{"parker.a", nats.Header{"Parker-Expires": {"1.2345"}}, "", replica.Entry{Channel: "a", Lifetime: 1234 * time.Millisecond}},
	{"parker.a", nats.Header{"Content-Type": {"not a type"}, "Parker-Event": {"note"}}, "", replica.Entry{Channel: "a"}},

	{"parker.rooms.7", nil, "", replica.Entry{}},
	{"parker.a=2", nil, "", replica.Entry{}},
	{"parker.a=GG", nil, "", replica.Entry{}},
	{"parker.=00", nil, "", replica.Entry{}},
	{"parker.=FF", nil, "", replica.Entry{}},
	{"parker." + strings.Repeat("a", brokers.MaxChannelBytes+1), nil, "", replica.Entry{}},
	{"parker.a", nats.Header{"Content-Type": {"html"}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Content-Type": {"text/pläin"}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Content-Type": {"text/plain", "text/html"}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Id": {"a"}, "parker-id": {"b"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Id": {strings.Repeat("a", 256)}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Id": {"a\u2028b"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Event": {"a\x00"}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Event": {strings.Repeat("a", 256)}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Event": {"\xff"}}, "a", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Expires": {"-1"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Expires": {"soon"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Expires": {"1.2.3"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Expires": {"."}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Node": {"n"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Number": {"1"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Node": {strings.Repeat("n", 33)}, "Parker-Number": {"1"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Node": {"n"}, "Parker-Number": {"0"}}, "", replica.Entry{}},
	{"parker.a", nats.Header{"Parker-Node": {"n"}, "Parker-Number": {"18446744073709551616"}}, "", replica.Entry{}},

	{"parker.last", nil, "", replica.Entry{Channel: "last"}},
}

func TestTailReadsMessagesOfApplications(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, logged := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	conn, _ := application(t, n.URL)
	var want []replica.Entry
	for i, p := range published {
		if err := conn.PublishMsg(&nats.Msg{Subject: p.subject, Header: p.header, Data: []byte(p.body)}); err != nil {
			t.Fatal(err)
		}
		if p.want.Channel != "" {
			p.want.Offset = uint64(i + 1)
			want = append(want, p.want)
		}
	}
	read := r.awaitRead(t, len(want))
	for i, e := range read {
		e.Time = time.Time{}
		if !reflect.DeepEqual(e, want[i]) {
			t.Errorf("%+v comes\nwhere %+v is due", e, want[i])
		}
	}
	if n := logged.FilterMessage("skipped malformed stream message").Len(); n != 1 {
		t.Errorf("that some are no events is logged %d times", n)
	}
}
