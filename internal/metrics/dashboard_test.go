package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// dashboard is the part of Grafana's that is looked at.
type dashboard struct {
	Panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are all that the dashboard asks Prometheus, each under its panel's title.
func (d dashboard) queries() map[string][]string {
	all := make(map[string][]string)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			all[panel.Title] = append(all[panel.Title], target.Expr)
		}
	}
	for _, variable := range d.Templating.List {
		all["$"+variable.Name] = []string{variable.Definition}
	}
	return all
}

// exposed are the labels of each metric, by the names that it has in queries.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	described := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`)
	all := make(map[string][]string)
	for _, collector := range collectors {
		descriptions := make(chan *prometheus.Desc, 1)
		collector.Describe(descriptions)
		found := described.FindStringSubmatch((<-descriptions).String())
		if found == nil {
			t.Fatal("a description has another form")
		}
		name, labels := found[1], append(strings.Split(found[2], ","), "job", "instance")
		switch collector.(type) {
		case *prometheus.HistogramVec, prometheus.Histogram:
			all[name+"_bucket"] = append(labels, "le")
		default:
			all[name] = labels
		}
	}
	return all
}

var (
	metricNames = regexp.MustCompile(`\bparker_\w+`)
	labelNames  = regexp.MustCompile(`by \((\w+)\)|(\w+)=~|, (\w+)\)$`)
)

func TestDashboardNamesEveryMetric(t *testing.T) {
	exists := exposed(t)
	shown := make(map[string]bool)
	for panel, queries := range readDashboard(t).queries() {
		for _, query := range queries {
			for _, name := range metricNames.FindAllString(query, -1) {
				labels, ok := exists[name]
				if !ok {
					t.Errorf("%s: there is no metric %s", panel, name)
				}
				shown[name] = true
				for _, match := range labelNames.FindAllStringSubmatch(query, -1) {
					if label := match[1] + match[2] + match[3]; ok && !slices.Contains(labels, label) {
						t.Errorf("%s: %s has no label %s", panel, name, label)
					}
				}
			}
		}
	}
	for name := range exists {
		if !shown[name] {
			t.Errorf("%s is not on the dashboard", name)
		}
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, panel := range readDashboard(t).Panels {
		if ids[panel.ID] {
			t.Errorf("%s has the ID of another", panel.Title)
		}
		ids[panel.ID] = true
		at := panel.GridPos
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s is in the place of %q", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}

func TestDashboardQueriesAreComplete(t *testing.T) {
	for panel, queries := range readDashboard(t).queries() {
		for _, query := range queries {
			for _, pair := range []string{"()", "{}", "[]"} {
				if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
					t.Errorf("%s: %s", panel, query)
				}
			}
		}
	}
}
