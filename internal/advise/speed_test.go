package advise

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// full are kinds of traffic that fill an Analysis. Each returns the number-th observation.
var full = map[string]func(number int) Observation{
	"one poll, many changes, many writes": func(i int) Observation {
		o := plain(i, "page", "GET", "/updates", fmt.Sprintf(`{"n":%d,"list":[%d]}`, i/4, i/4))
		if i%3 == 0 {
			o = plain(i, "writer", "POST", "/save", fmt.Sprint(i))
		}
		return o
	},
	"many clients that get the same": func(i int) Observation {
		return plain(i, fmt.Sprint("page ", i%2000), "GET", "/updates", fmt.Sprintf(`{"n":%d}`, i/5000))
	},
	"many clients that get others": func(i int) Observation {
		return plain(i, fmt.Sprint("page ", i%200), "GET", "/updates", fmt.Sprintf(`{"n":%d}`, i/3))
	},
	"many fields": func(i int) Observation {
		o := plain(i, fmt.Sprint("page ", i%20), "GET", "/updates", "[]")
		var query []string
		for j := range 24 {
			query = append(query, fmt.Sprintf("name%c=%d", 'a'+j, i/(j+1)))
		}
		o.Query = strings.Join(query, "&")
		return o
	},
	"many members": func(i int) Observation {
		var members []string
		for j := range 60 {
			members = append(members, fmt.Sprintf(`"member%c%c":%d`, 'a'+j%26, 'a'+j/26, i/(j*j+1)))
		}
		return plain(i, fmt.Sprint("page ", i%20), "GET", "/updates", "{"+strings.Join(members, ",")+"}")
	},
	"many cookies": func(i int) Observation {
		o := plain(i, fmt.Sprint("page ", i%3), "GET", "/updates", fmt.Sprintf(`{"n":%d}`, i/100))
		for j := range 16 {
			o.Request["Cookie"] = append(o.Request["Cookie"], fmt.Sprintf("cookie%c=%d", 'a'+j, i/(j*j+1)))
		}
		return o
	},
	"many polls": func(i int) Observation {
		return plain(i, fmt.Sprint("page ", i%200), "GET", fmt.Sprintf("/part%c%c/updates", 'a'+i%200%20, 'a'+i%200/20), fmt.Sprintf(`{"n":%d}`, i/400))
	},
	"many polls and kinds of writes": func(i int) Observation {
		if i%2 == 0 {
			return plain(i, "writer", "POST", fmt.Sprintf("/form%c%c/save", 'a'+i/2%20, 'a'+i/40%20), "")
		}
		return plain(i, fmt.Sprint("page ", i%100), "GET", fmt.Sprintf("/part%c%c/updates", 'a'+i%100%20, 'a'+i%100/20), fmt.Sprintf(`{"n":%d}`, i/400))
	},
	"hostile": func(i int) Observation { return hostile(i, time.Unix(1_800_000_000, 0)) },
}

// plain returns an observation that is well known, one each 5 ms.
func plain(number int, client, method, path, text string) Observation {
	return Observation{
		Begun: time.Unix(1_800_000_000, 0).Add(time.Duration(number) * 5 * time.Millisecond), Took: 2 * time.Millisecond, Client: client,
		Host: "desk.example.com", Method: method, Path: path, Request: map[string][]string{"Cookie": {"session=" + client}},
		Status: 200, Answer: map[string][]string{}, Text: []byte(text), Sum: text, Length: int64(len(text)),
	}
}

func BenchmarkReport(b *testing.B) {
	for name, observation := range full {
		b.Run(name, func(b *testing.B) {
			a := New()
			for i := range maxRecords {
				a.Add(observation(i))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				a.Report()
			}
			b.ReportMetric(float64(a.records), "records")
		})
	}
}
