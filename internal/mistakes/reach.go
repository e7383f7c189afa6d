package mistakes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ours are the directives of parker.
var ours = []string{"parker", "parker_notify", "parker_page_loads", "parker_publish", "parker_status"}

// ranks contains the directives that answer or forward requests, in Caddy's order.
var ranks = map[string]int{
	"redir": 1, "parker_status": 2, "parker_notify": 3, "parker": 4, "parker_publish": 5, "invoke": 6, "handle": 7, "handle_path": 7, "route": 8,
	"abort": 9, "error": 10, "respond": 11, "metrics": 12, "reverse_proxy": 13, "php_fastcgi": 14, "file_server": 15, "acme_server": 16,
}

// unreachable finds directives that come after one that answers all requests, if one of
// the two belongs to parker.
func unreachable(s site) []warning {
	search := &search{reordered: s.reordered}
	search.block(s.directives, false)
	return search.warnings
}

type search struct {
	reordered bool
	warnings  []warning
}

// block checks a list of directives and the blocks in it. written is true in a route
// block, where directives keep the order in which they are written.
func (s *search) block(directives []directive, written bool) {
	var list []directive
	for _, d := range directives {
		if ranks[d.name] > 0 {
			list = append(list, d)
		}
	}
	if !written {
		slices.SortStableFunc(list, func(a, b directive) int {
			return cmp.Or(cmp.Compare(ranks[a.name], ranks[b.name]), compareBool(b.matcher, a.matcher))
		})
	}
	if written || !s.reordered {
		if end := slices.IndexFunc(list, func(d directive) bool { return answersAll(d, list) }); end >= 0 {
			s.behind(list[end], list[end+1:])
		}
	}
	for _, d := range directives {
		if isContainer(d) || d.name == "handle_errors" {
			s.block(d.block, d.name == "route")
		}
	}
}

// compareBool sorts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// behind adds warnings about the directives after one that answers all requests.
func (s *search) behind(end directive, rest []directive) {
	if len(rest) == 0 {
		return
	}
	if slices.Contains(ours, end.name) {
		var cut []string
		for _, d := range rest {
			cut = append(cut, fmt.Sprintf("%s (%s)", d.name, d.at))
		}
		s.warnings = append(s.warnings, warning{
			message: "directives after " + end.name + " are never reached",
			at:      end.at,
			hint: fmt.Sprintf("without a matcher it answers every request, so none reaches %s: give it its own paths, such as handle_path /%s/* { %s }, or its own site",
				strings.Join(cut, ", "), strings.TrimPrefix(end.name, "parker_"), end.name),
		})
		return
	}
	for _, d := range rest {
		s.cutOff(d, end)
	}
}

// cutOff adds warnings about the directives of parker in a directive that no request
// reaches.
func (s *search) cutOff(d, end directive) {
	if slices.Contains(ours, d.name) {
		s.warnings = append(s.warnings, warning{
			message: d.name + " is never reached",
			at:      d.at,
			hint:    fmt.Sprintf("%s (%s) answers every request before it: put %s before that directive", end.name, end.at, d.name),
		})
	}
	if isContainer(d) {
		for _, inner := range d.block {
			s.cutOff(inner, end)
		}
	}
}

func isContainer(d directive) bool {
	return slices.Contains([]string{"handle", "handle_path", "route"}, d.name)
}

// answersAll reports whether a directive in a list certainly answers every request.
func answersAll(d directive, list []directive) bool {
	if d.matcher {
		return false
	}
	has := func(option string) bool {
		return slices.ContainsFunc(d.block, func(inner directive) bool { return inner.holds(func(o directive) bool { return o.name == option }) })
	}
	switch d.name {
	case "abort", "error", "metrics", "redir", "parker_publish", "parker_status":
		return true
	case "respond":
		return !slices.ContainsFunc(d.args, maybeEarlyHints)
	case "file_server":
		return !has("pass_thru")
	case "reverse_proxy":
		return !has("handle_response") // its routes may not answer the request
	case "handle":
		return endsAll(d.block) && isOnlyHandle(list)
	case "route":
		return endsAll(d.block)
	}
	return false
}

// isOnlyHandle reports whether a list has exactly one handle block. If there are
// several, a request enters only one of them, which may not answer it.
func isOnlyHandle(list []directive) bool {
	handles := 0
	for _, d := range list {
		if ranks[d.name] == ranks["handle"] {
			handles++
		}
	}
	return handles == 1
}

// endsAll reports whether a list of directives certainly answers every request.
func endsAll(list []directive) bool {
	return slices.ContainsFunc(list, func(d directive) bool { return answersAll(d, list) })
}

// maybeEarlyHints reports whether a word may be the status code 103, with which respond
// does not end the request.
func maybeEarlyHints(word string) bool { return word == "103" || strings.Contains(word, "{") }
