package nats

import (
	"mime"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/brokers"
)

func TestEncodeWritesLifetimeInMilliseconds(t *testing.T) {
	for lifetime, seconds := range map[time.Duration]string{
		-time.Hour:                "0",
		-1:                        "0",
		1:                         "0.001",
		time.Millisecond:          "0.001",
		1999 * time.Microsecond:   "0.001",
		10 * time.Minute:          "600.000",
		(1<<31 + 1) * time.Second: "2147483649.000",
	} {
		if got := secondsOf(lifetime); got != seconds {
			t.Errorf("%v is %s, not %s", lifetime, got, seconds)
		}
	}
}

func FuzzDecodeReturnsValidEntry(f *testing.F) {
	f.Add("parker.rooms=2F7", "Content-Type", "text/html", "Parker-Event", "note", "2.5", []byte("<p>"))
	f.Add("parker.a", "parker-id", "7", "Parker-Id", "8", "0", []byte{})
	f.Add("parker.a", "Parker-Node", "n", "Parker-Number", "1", "", []byte("{}"))
	f.Add("parker.a.b", "Parker-Event", "a\r\nb", "Content-Type", "a/b;\n", "-1", []byte("a"))
	f.Fuzz(func(t *testing.T, subject, name, value, name2, value2, expires string, body []byte) {
		header := nats.Header{name: {value}, expiresField: {expires}}
		header[name2] = append(header[name2], value2)
		e, err := decode("parker", subject, header, body)
		if err != nil {
			if !reflect.ValueOf(e).IsZero() {
				t.Errorf("with an error there is %+v", e)
			}
			return
		}
		switch {
		case brokers.CheckChannel(e.Channel) != nil:
			t.Errorf("the channel is %q", e.Channel)
		case (e.Node == "") != (e.Number == 0) || len(e.Node) > 32:
			t.Errorf("the node is %q, with number %d", e.Node, e.Number)
		case !utf8.ValidString(e.ID) || strings.ContainsFunc(e.ID, unicode.IsControl) || len(e.ID) > 255:
			t.Errorf("the ID is %q", e.ID)
		case (e.Message == nil) != (len(body) == 0):
			t.Errorf("of %q comes the message %v", body, e.Message)
		}
		if m := e.Message; m != nil {
			if _, _, err := mime.ParseMediaType(m.ContentType); err != nil || strings.ContainsFunc(m.ContentType, unicode.IsControl) {
				t.Errorf("the content type is %q", m.ContentType)
			}
			if !utf8.ValidString(m.Type) || strings.ContainsFunc(m.Type, unicode.IsControl) {
				t.Errorf("the type is %q", m.Type)
			}
		}
		if e.Node != "" {
			again := encode("parker", e)
			back, err := decode("parker", again.Subject, again.Header, again.Data)
			if err != nil || !reflect.DeepEqual(back, e) {
				t.Errorf("%+v comes back as %+v, %v", e, back, err)
			}
		}
	})
}
