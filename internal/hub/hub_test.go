package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
)

func TestChannelsComeInPagesInOrder(t *testing.T) {
	h := Hub{Process: &Process{Lot: lot.New()}}
	for i := range 25 {
		for range i%3 + 1 {
			w := h.Lot.Register([]string{fmt.Sprintf("c%02d", i)}, lot.Messages)
			w.Park(lot.Parking{Until: time.Now().Add(time.Hour), Release: func(lot.Outcome) {}})
		}
	}
	h.Lot.Register([]string{"nobody is parked here"}, lot.Messages)
	var all []string
	for after := ""; ; {
		page := h.Channels("", after, 10)
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
	if got := h.Waiting("c11"); got.Requests != 3 || got.Streams != 0 {
		t.Errorf("Waiting = %+v", got)
	}
}
