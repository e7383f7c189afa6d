package advise

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// fromIdle finds a rule for answers that come again after each news.
func (u *rule) fromIdle(r *route, it answers) bool {
	rest := slices.DeleteFunc(slices.Clone(it.idle), (*answer).isDefault)
	newsLikeDefault := slices.ContainsFunc(it.news, (*answer).isDefault)
	if len(rest) == 0 && !newsLikeDefault {
		u.is = (*answer).isDefault
		u.reason = "While nothing happens, the answer is what parker holds by default: " + formOf(it.idle[0]) + "."
		return true
	}
	if u.byStatus(it.idle, it.news) || u.byEmptyMembers(r, it.idle, it.news) || u.byAbsentMember(r, it.idle, it.news) {
		return true
	}
	// What follows prints words of an answer. If a single client got them, they could be
	// about it. So they must have come again and again after different news, and be words that
	// applications use.
	alone := it.clients < 2
	if alone && it.returns < 2 {
		return false
	}
	return u.byWord(r, it.idle, it.news, alone) || u.byBody(it.idle, it.news, alone) || u.byPhrase(it.idle, it.news, alone)
}

// formOf says what an answer with nothing new is, by its form.
func formOf(it *answer) string {
	switch {
	case hasNoBody(it.status):
		return fmt.Sprintf("status %d", it.status)
	case it.seemsEmpty():
		return fmt.Sprintf("probably [] or {}, as it has %d bytes", it.length)
	case it.text == "":
		return "an empty body"
	}
	return it.text // [], {} or null
}

func (u *rule) byStatus(idle, news []*answer) bool {
	var statuses []string
	codes := make(map[int]bool)
	for _, a := range idle {
		if !codes[a.status] {
			codes[a.status] = true
			statuses = append(statuses, fmt.Sprint(a.status))
		}
	}
	if codes[200] || slices.ContainsFunc(news, func(a *answer) bool { return codes[a.status] }) {
		return false
	}
	slices.Sort(statuses)
	u.lines = []string{"status " + strings.Join(statuses, " ")}
	u.is = func(a *answer) bool { return codes[a.status] }
	u.reason = "No answer with news had this status."
	return true
}

// byEmptyMembers finds the fewest members that are empty in each answer with nothing new,
// and of which at least one is not in each answer with news.
func (u *rule) byEmptyMembers(r *route, idle, news []*answer) bool {
	candidates := r.pointersWhere(idle[0], func(m member) bool {
		return m.nothing && !u.excepted[m.pointer] && all(idle, func(a *answer) bool { return isNothing(a, int(m.pointer)) })
	})
	filled := make([]uint64, len(news)) // for each answer, a bit for each candidate
	for i, a := range news {
		for j, pointer := range candidates {
			if !isNothing(a, pointer) {
				filled[i] |= 1 << j
			}
		}
	}
	var chosen []int
	for len(filled) > 0 {
		best, most := 0, 0
		for j := range candidates {
			n := 0
			for _, bits := range filled {
				n += int(bits >> j & 1)
			}
			if n > most {
				best, most = j, n
			}
		}
		if most == 0 {
			return false
		}
		chosen = append(chosen, candidates[best])
		filled = slices.DeleteFunc(filled, func(bits uint64) bool { return bits>>best&1 == 1 })
	}
	if len(news) == 0 {
		chosen = candidates
	}
	if len(chosen) == 0 {
		return false
	}
	u.holdEmpty(r, chosen)
	return true
}

// holdEmpty makes it a rule for answers in which the members with the pointers are empty.
func (u *rule) holdEmpty(r *route, pointers []int) {
	var names []string
	for _, pointer := range pointers {
		names = append(names, r.pointers[pointer])
	}
	slices.Sort(names)
	for _, name := range names {
		u.lines = append(u.lines, "json "+name)
	}
	if len(names) > 1 {
		u.lines = slices.Concat([]string{"all {"}, indented(u.lines), []string{"}"})
	}
	u.is = func(a *answer) bool {
		return all(pointers, func(pointer int) bool { return isNothing(a, pointer) })
	}
	u.reason = fmt.Sprintf("While nothing happens, %s is empty, and in no answer with news.", strings.Join(names, " and "))
}

func (u *rule) byAbsentMember(r *route, idle, news []*answer) bool {
	if len(news) == 0 || len(idle[0].members) == 0 {
		return false
	}
	candidates := r.pointersWhere(news[0], func(m member) bool {
		has := func(a *answer) bool { _, ok := a.member(int(m.pointer)); return ok }
		return !slices.ContainsFunc(idle, has) && all(news, has)
	})
	if len(candidates) == 0 {
		return false
	}
	pointer := candidates[0]
	u.lines = []string{"json " + r.pointers[pointer] + " absent"}
	u.is = func(a *answer) bool {
		_, ok := a.member(pointer)
		return a.members != nil && !ok
	}
	u.reason = "Only answers with news have " + r.pointers[pointer] + "."
	return true
}

// byWord finds a member that is one word in all answers with nothing new.
func (u *rule) byWord(r *route, idle, news []*answer, alone bool) bool {
	first := idle[0]
	candidates := r.pointersWhere(first, func(m member) bool {
		same := func(a *answer) bool { other, ok := a.member(int(m.pointer)); return ok && other.sum == m.sum }
		return !u.excepted[m.pointer] && all(idle, same) && len(news) > 0 && !slices.ContainsFunc(news, same)
	})
	for _, pointer := range candidates {
		name := r.pointers[pointer]
		word, ok := wordAt(first.text, name)
		if !ok || alone && !isCommon(word) {
			continue
		}
		value, _ := first.member(pointer)
		u.lines = []string{"json " + name + " " + word}
		u.is = func(a *answer) bool { m, ok := a.member(pointer); return ok && m.sum == value.sum }
		u.reason = fmt.Sprintf("While nothing happens, %s is %s, and in no answer with news.", name, word)
		return true
	}
	return false
}

// wordAt returns the value that a pointer names in a document, if it is a word or a truth
// value.
func wordAt(text, pointer string) (string, bool) {
	document, err := jsonvalue.Parse([]byte(text))
	if err != nil {
		return "", false
	}
	p, err := jsonvalue.ParsePointer(pointer)
	if err != nil {
		return "", false
	}
	word := ""
	p.Any(document, func(part any) bool {
		switch part := part.(type) {
		case bool:
			word = fmt.Sprint(part)
		case string:
			if !json.Valid([]byte(part)) { // parker would read it as a value, not as a text
				word = part
			}
		}
		return true
	})
	return word, isWord(word) && word != "absent"
}

var word = regexp.MustCompile(`^[A-Za-z_-]{1,20}$`)

// isWord reports whether a text can be printed: it is too short for a secret.
func isWord(text string) bool { return word.MatchString(text) }

func (u *rule) byBody(idle, news []*answer, alone bool) bool {
	var bodies []string
	for _, a := range idle {
		if !isWord(a.text) && !(len(a.text) == 1 && a.text >= "0" && a.text <= "9") || a.status != 200 {
			return false
		}
		if alone && len(a.text) > 1 && !isCommon(a.text) {
			return false
		}
		if slices.ContainsFunc(news, func(other *answer) bool { return other.text == a.text }) {
			return false
		}
		bodies = append(bodies, a.text)
	}
	u.lines = []string{"body " + strings.Join(bodies, " ")}
	u.is = func(a *answer) bool { return slices.Contains(bodies, a.text) }
	u.reason = "While nothing happens, the whole body is " + strings.Join(bodies, " or ") + "."
	return true
}

// phrase is a text between two tags. It has neither digits nor characters with a meaning
// in regular expressions or Caddyfiles, but the dot.
var phrase = regexp.MustCompile(`^[\p{L}][\p{L} ,.!'’-]{3,59}$`)

// namesInside finds what could be a name in a sentence, or before it.
var namesInside = regexp.MustCompile(`,|!|\s\p{Lu}`)

var denial = regexp.MustCompile(`(?i)\b(no|none|nothing|not|empty|kein\w*|nichts|aucun\w*|rien|ning[uú]n\w*|nada)\b`)

// byPhrase finds a sentence that is in all answers with nothing new and in none with news.
// Sentences that deny something are preferred. Only they will do without news to compare
// with. If a single client got it, its name could be in it: then it must deny something, and
// have no word in the middle that looks like a name.
func (u *rule) byPhrase(idle, news []*answer, alone bool) bool {
	found, looked := "", 0
	for _, a := range news {
		if a.text != "" {
			looked++
		}
	}
	for _, text := range strings.FieldsFunc(idle[0].text, func(c rune) bool { return c == '<' || c == '>' || c == '\n' }) {
		text = strings.TrimSpace(text)
		contains := func(a *answer) bool { return strings.Contains(a.text, text) }
		denies := denial.MatchString(text)
		if !phrase.MatchString(text) || !all(idle, contains) || slices.ContainsFunc(news, contains) ||
			!denies && looked == 0 || alone && (!denies || namesInside.MatchString(text)) {
			continue
		}
		if found == "" || denies && !denial.MatchString(found) {
			found = text
		}
	}
	if found == "" {
		return false
	}
	// What people write cannot contain a tag, in an application that escapes it.
	if element := elementOf(idle[0].text, found); all(idle, func(a *answer) bool { return strings.Contains(a.text, element) }) {
		found = element
	}
	u.lines = []string{`match "` + regexp.QuoteMeta(found) + `"`}
	u.is = func(a *answer) bool { return strings.Contains(a.text, found) }
	u.reason = fmt.Sprintf("This sentence is in each answer with nothing new, and in none with news (%s looked at).", count(looked, "answer"))
	return true
}

var (
	openingTag = regexp.MustCompile(`<[a-zA-Z][a-zA-Z0-9]{0,15}>$`)
	closingTag = regexp.MustCompile(`^</[a-zA-Z][a-zA-Z0-9]{0,15}>`)
)

// elementOf returns a phrase with the tags around it, as far as they have no attributes.
func elementOf(text, phrase string) string {
	before, after, _ := strings.Cut(text, phrase)
	return openingTag.FindString(before) + phrase + closingTag.FindString(after)
}

// pointersWhere returns the pointers of members that can be named and for which holds is
// true, those of few tokens first.
func (r *route) pointersWhere(a *answer, holds func(m member) bool) []int {
	var pointers []int
	for _, m := range a.members {
		if pointer := r.pointers[m.pointer]; isPrintable(pointer) && !strings.Contains(pointer, "*") && holds(m) {
			pointers = append(pointers, int(m.pointer))
		}
	}
	slices.SortStableFunc(pointers, func(x, y int) int {
		return cmp.Or(cmp.Compare(strings.Count(r.pointers[x], "/"), strings.Count(r.pointers[y], "/")), strings.Compare(r.pointers[x], r.pointers[y]))
	})
	return pointers
}

func isNothing(a *answer, pointer int) bool {
	m, ok := a.member(pointer)
	return ok && m.nothing
}

func all[T any](values []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(values, func(value T) bool { return !holds(value) })
}

func indented(lines []string) []string {
	result := make([]string, len(lines))
	for i, line := range lines {
		result[i] = "\t" + line
	}
	return result
}
