package advise

import (
	"strings"
	"testing"
	"time"
)

func TestShowTellsWhatTheAnswersOfALogAre(t *testing.T) {
	tr := newTraffic(t)
	tr.desk(exchange{text: `{"tickets":[],"more":false}`})
	tr.logged(true)
	a := tr.analysis()
	report := a.Report()
	if polls := report.Polls; len(polls) != 1 || polls[0].Hold {
		t.Fatalf("polls: %+v", polls)
	}
	unseen := report.Unseen()
	if len(unseen) != 1 || unseen[0].Path != "/tickets/updates" || !strings.HasPrefix(unseen[0].Query, "since=") {
		t.Fatalf("unseen: %+v", unseen)
	}
	shown := Observation{Begun: tr.start.Add(time.Hour), Method: "GET", Host: unseen[0].Host, Path: unseen[0].Path, Query: unseen[0].Query, Status: 200, Text: []byte(`{"tickets":[],"more":false}`)}
	if n := a.Show(shown); n < 600 {
		t.Errorf("%d answers were shown", n)
	}
	report = a.Report()
	if polls := report.Polls; len(polls) != 1 || !polls[0].Hold || len(polls[0].Publishers) != 1 {
		t.Fatalf("polls: %+v", polls)
	}
	if unseen := report.Unseen(); len(unseen) != 0 {
		t.Errorf("it is shown, and yet unseen: %+v", unseen)
	}
	if lines := strings.Join(report.Polls[0].NothingNew, "\n"); !strings.Contains(lines, "json /") {
		t.Errorf("nothing new: %s", lines)
	}
}
