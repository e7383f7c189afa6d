package load

import (
	"strings"
	"testing"
	"time"
)

func TestLedgerSaysWhatIsWrong(t *testing.T) {
	ahead, twice := Item{Place: "b", Ahead: true}, Item{Place: "a", Twice: true}
	for name, test := range map[string]struct {
		heard     string
		unsettled bool
		third     Item // the third of four items
		want      string
	}{
		"everything":                 {heard: "room 1,room 2,room 3,room 4"},
		"a gap":                      {heard: "room 1,room 3", want: "missed room 2: heard 3 after 1"},
		"the last":                   {heard: "room 1,room 2,room 3", want: "missed room 4, having heard 1 2 3"},
		"twice":                      {heard: "room 1,room 2,room 2", want: "heard room 2 twice, of 1 2 2"},
		"in a wrong order":           {heard: "room 1,room 3,room 2,room 4", unsettled: true, want: "heard room 2 after 3, of 1 3 2"},
		"a gap, in unsettled times":  {heard: "room 1,room 2,room 4", unsettled: true, want: "missed room 3, having heard 1 2 4"},
		"ahead":                      {heard: "room 1,room 3,room 2,room 4", unsettled: true, third: ahead, want: "heard room 2 after 3, of 1 3 2"},
		"ahead, but too late":        {heard: "room 1,room 2,room 4,room 3", unsettled: true, third: ahead, want: "heard room 3 after 4, of 1 2 4 3"},
		"lost with its place":        {heard: "room 1,room 2,room 4", unsettled: true, third: Item{Place: "ended", Ahead: true, Published: time.Now()}},
		"published twice":            {heard: "room 1,room 2,room 3,room 3,room 4", third: twice},
		"never published":            {heard: "room 1,room 2,room 3,room 4,room 5", want: "heard room 5, which was never published"},
		"somebody else's":            {heard: "room 1,inbox 2", want: `heard "inbox 2", which belongs to somebody else`},
		"nothing that was published": {heard: "hello", want: `heard "hello": EOF`},
	} {
		t.Run(name, func(t *testing.T) {
			l := &Load{T: t, Unsettled: test.unsettled}
			l.Ended("ended", time.Now().Add(-time.Second))
			room := l.Topic("room")
			for range 4 {
				room.Messages.Set(room.Messages.Add(), Item{Place: "a"})
			}
			if test.third.Place != "" {
				room.Messages.Set(3, test.third)
			}
			c := &Client{Messages: []*Topic{room}}
			c.prepare(l, 0)
			got := ""
			for text := range strings.SplitSeq(test.heard, ",") {
				if err := c.take(text, 0); err != nil && got == "" {
					got = err.Error()
				}
			}
			if got == "" {
				got = c.verdict()
			}
			if got != test.want {
				t.Errorf("the verdict is %q, want %q", got, test.want)
			}
		})
	}
}
