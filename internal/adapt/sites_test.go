package adapt

import (
	"fmt"
	"strings"
	"testing"
)

// twoSites are Caddyfiles whose sites would share channels, or would not.
var twoSites = map[string]struct {
	caddyfile string
	refused   string // how the error begins; empty: there is none
	line      int
}{
	"the same path": {
		caddyfile: "a.example {\n\tparker /messages\n}\nb.example {\n\tparker_notify /messages\n\tparker /messages\n}\n",
		refused:   "b.example and a.example (site.caddyfile:2) would share channels, because neither names its channels: give them different channels in parker and parker_notify, such as {host}{path}, or add across_sites to the parker of each if they are meant to share them",
		line:      6,
	},
	"all paths and one": {
		caddyfile: "a.example {\n\tparker\n}\nb.example {\n\tparker /messages\n}\n",
		refused:   "b.example and a.example",
		line:      5,
	},
	"named matchers": {
		caddyfile: "a.example {\n\t@poll path /messages\n\tparker @poll\n}\nb.example {\n\t@poll query since=*\n\tparker @poll\n}\n",
		refused:   "b.example and a.example",
		line:      7,
	},
	"in blocks": {
		caddyfile: "a.example {\n\thandle /app/* {\n\t\tparker\n\t}\n}\nb.example {\n\troute {\n\t\tparker\n\t}\n}\n",
		refused:   "b.example and a.example",
		line:      8,
	},
	"by a snippet": {
		caddyfile: "(poll) {\n\tparker /messages\n}\na.example {\n\timport poll\n}\nb.example {\n\timport poll\n}\n",
		refused:   "b.example and a.example (site.caddyfile:2)",
		line:      2,
	},
	"another port": {
		caddyfile: "http://localhost:8080 {\n\tparker /messages\n}\nhttp://localhost:8081 {\n\tparker /messages\n}\n",
		refused:   "localhost:8081 and localhost:8080 (site.caddyfile:2) would share channels, because neither names its channels: give them different channels in parker and parker_notify, such as {hostport}{path}",
		line:      5,
	},
	"a site for the other hosts": {
		caddyfile: "a.example {\n\tparker /messages\n}\n:443 {\n\tparker /messages\n}\n",
		refused:   "all hosts and a.example",
		line:      5,
	},
	"addresses that end like a port": {
		caddyfile: "http://[2001:db8::80] {\n\tparker /messages\n}\nhttp://[2001:db8::443] {\n\tparker /messages\n}\n",
		refused:   "2001:db8::443 and 2001:db8::80",
		line:      5,
	},
	"one site at its own default port": {
		caddyfile: "{\n\thttps_port 8443\n}\nhttp://a.example {\n\tparker /messages\n}\nhttps://a.example:8443 {\n\tparker /messages\n}\n",
	},
	"named routes of one site": {
		caddyfile: "&(one) {\n\tparker /messages\n}\n&(two) {\n\tparker /messages\n}\na.example {\n\tinvoke one\n\tinvoke two\n}\n",
	},
	"meant by one alone": {
		caddyfile: "a.example {\n\tparker /messages {\n\t\tacross_sites\n\t}\n}\nb.example {\n\tparker /messages\n}\n",
		refused:   "b.example and a.example",
		line:      7,
	},
	"meant by both": {
		caddyfile: "a.example {\n\tparker /messages {\n\t\tacross_sites\n\t}\n}\nb.example {\n\tparker /messages {\n\t\tacross_sites\n\t}\n}\n",
	},
	"other paths": {
		caddyfile: "a.example {\n\tparker /messages\n}\nb.example {\n\tparker /rooms/*\n}\n",
	},
	"channels of one of them": {
		caddyfile: "a.example {\n\tparker /messages\n}\nb.example {\n\tparker /messages {host}{path}\n}\n",
	},
	"one site twice": {
		caddyfile: "http://a.example {\n\tparker /messages\n}\nhttps://a.example {\n\tparker /messages\n}\n",
	},
	"one site's two directives": {
		caddyfile: "a.example, b.example {\n\tparker /messages\n\tparker /rooms/*\n\thandle {\n\t\tparker /messages\n\t}\n}\n",
	},
}

func TestSitesThatShareChannelsAreRefused(t *testing.T) {
	for name, test := range twoSites {
		t.Run(name, func(t *testing.T) {
			_, _, err := adapt(test.caddyfile)
			if test.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it is not refused")
			}
			if !strings.Contains(err.Error(), "'parker': "+test.refused) || !strings.Contains(err.Error(), fmt.Sprintf(", at %s:%d", fileName, test.line)) {
				t.Errorf("%v\nwant %q at line %d", err, test.refused, test.line)
			}
		})
	}
}
