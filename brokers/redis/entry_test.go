package redis

import (
	"cmp"
	"fmt"
	"mime"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

// Whatever an application writes, the decoded entry can be sent to clients, and is the same
// after it is encoded and decoded again.
func FuzzDecodeReadsEntryOrRefusesIt(f *testing.F) {
	f.Add("rooms/7", `{"a":1}`, "application/json", "news", "17", "0.5", "N1", "3")
	f.Add("a", "", "text", "\n", "", "0", "", "")
	f.Add("\x00", "b", "text/html; charset=ü", "\r", "\x7f", "99999999999999999999", "N~1", "-1")
	f.Fuzz(func(t *testing.T, channel, body, contentType, event, id, expires, node, number string) {
		e, err := decode(map[string]string{
			channelField: channel, bodyField: body, typeField: contentType, eventField: event,
			idField: id, expiresField: expires, nodeField: node, numberField: number,
		})
		if err != nil {
			return
		}
		if brokers.CheckChannel(e.Channel) != nil || strings.ContainsAny(e.ID, "\r\n\x00") || len(e.Node) > 32 || (e.Node == "") != (e.Number == 0) {
			t.Errorf("%+v has passed", e)
		}
		if m := e.Message; m != nil {
			if _, _, err := mime.ParseMediaType(m.ContentType); err != nil || strings.ContainsAny(m.ContentType+m.Type, "\r\n\x00") {
				t.Errorf("%+v has passed", m)
			}
		}
		fields := make(map[string]string)
		encoded := encode(e)
		for i := 0; i < len(encoded); i += 2 {
			fields[encoded[i]] = encoded[i+1]
		}
		if again, err := decode(fields); err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

// compareTexts compares two IDs as the server does.
func compareTexts(a, b string) int {
	var first, second [2]uint64
	fmt.Sscanf(a, "%d-%d", &first[0], &first[1])
	fmt.Sscanf(b, "%d-%d", &second[0], &second[1])
	return slices.Compare(first[:], second[:])
}

func FuzzIDKeepsOrder(f *testing.F) {
	f.Add("1700000000000-0", "1700000000000-1")
	f.Add("5-4194303", "6-0")
	f.Add("4398046511103-4194303", "18446744073709551615-18446744073709551615")
	f.Fuzz(func(t *testing.T, a, b string) {
		first, err := parseID(a)
		if err != nil {
			return
		}
		second, err := parseID(b)
		if err != nil {
			return
		}
		if again, err := parseID(first.String()); again != first || err != nil {
			t.Errorf("%s became %s, %v", first, again, err)
		}
		if got, want := cmp.Compare(first, second), compareTexts(first.String(), second.String()); got != want {
			t.Errorf("%s is %d, and %s is %d", first, first, second, second)
		}
	})
}
