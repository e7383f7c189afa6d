package lot

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLotWaitingAfterReturnsPagesInOrder(t *testing.T) {
	l := New()
	for i := range 25 {
		for range i%3 + 1 {
			w := l.Register([]string{fmt.Sprintf("c%02d", i)}, Messages)
			w.Park(Parking{Until: time.Now().Add(time.Hour), Release: func(Outcome) {}})
		}
	}
	l.Register([]string{"nobody is parked here"}, Messages)
	var all []string
	for after := ""; ; {
		page := l.WaitingAfter("", after, 10)
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			after = c.Channel
			all = append(all, fmt.Sprint(c.Channel, ":", c.Requests))
		}
	}
	if len(all) != 25 || all[0] != "c00:1" || all[24] != "c24:1" || all[11] != "c11:3" {
		t.Errorf("listed %s", strings.Join(all, " "))
	}
	if got := l.Waiting("c11"); got.Requests != 3 || got.Streams != 0 {
		t.Errorf("Waiting = %+v", got)
	}
}
