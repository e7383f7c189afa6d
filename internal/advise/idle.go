package advise

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// fromIdle finds a rule for answers that come again after each news.
func (u *rule) fromIdle(it answers) bool {
	rest := slices.DeleteFunc(slices.Clone(it.idle), (*answer).isDefault)
	newsLikeDefault := slices.ContainsFunc(it.news, (*answer).isDefault)
	if len(rest) == 0 && !newsLikeDefault {
		u.is = (*answer).isDefault
		u.reason = "While nothing happens, the answer is what parker holds by default: " + formOf(it.idle[0]) + "."
		return true
	}
	idle := it.idle
	for _, find := range []func(u *rule, idle, news []*answer) bool{
		byStatus, byEmptyMembers, byAbsentMember, byWord, byBody, byPhrase,
	} {
		if find(u, idle, it.news) {
			return true
		}
	}
	return false
}

// formOf says what an answer with nothing new is, by its form.
func formOf(it *answer) string {
	switch {
	case hasNoBody(it.status):
		return fmt.Sprintf("status %d", it.status)
	case it.text == "":
		return "an empty body"
	}
	return it.text // [], {} or null
}

func byStatus(u *rule, idle, news []*answer) bool {
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
func byEmptyMembers(u *rule, idle, news []*answer) bool {
	candidates := pointersWhere(idle[0], func(m member) bool {
		return m.nothing && !u.excepted[m.pointer] && all(idle, func(a *answer) bool { return isNothing(a, m.pointer) })
	})
	var chosen []string
	left := news
	for len(left) > 0 {
		best, most := "", 0
		for _, pointer := range candidates {
			n := 0
			for _, a := range left {
				if !isNothing(a, pointer) {
					n++
				}
			}
			if n > most {
				best, most = pointer, n
			}
		}
		if most == 0 {
			return false
		}
		chosen = append(chosen, best)
		left = slices.DeleteFunc(slices.Clone(left), func(a *answer) bool { return !isNothing(a, best) })
	}
	if len(news) == 0 {
		chosen = candidates
	}
	if len(chosen) == 0 {
		return false
	}
	slices.Sort(chosen)
	for _, pointer := range chosen {
		u.lines = append(u.lines, "json "+pointer)
	}
	if len(chosen) > 1 {
		u.lines = slices.Concat([]string{"all {"}, indented(u.lines), []string{"}"})
	}
	u.is = func(a *answer) bool {
		return all(chosen, func(pointer string) bool { return isNothing(a, pointer) })
	}
	u.reason = fmt.Sprintf("While nothing happens, %s is empty, and in no answer with news.", strings.Join(chosen, " and "))
	return true
}

func byAbsentMember(u *rule, idle, news []*answer) bool {
	if len(news) == 0 || len(idle[0].members) == 0 {
		return false
	}
	candidates := pointersWhere(news[0], func(m member) bool {
		has := func(a *answer) bool { _, ok := a.member(m.pointer); return ok }
		return all(news, has) && !slices.ContainsFunc(idle, has) && !strings.Contains(m.pointer, "*")
	})
	if len(candidates) == 0 {
		return false
	}
	pointer := candidates[0]
	u.lines = []string{"json " + pointer + " absent"}
	u.is = func(a *answer) bool {
		_, ok := a.member(pointer)
		return a.members != nil && !ok
	}
	u.reason = "Only answers with news have " + pointer + "."
	return true
}

// byWord finds a member that is one word in all answers with nothing new.
func byWord(u *rule, idle, news []*answer) bool {
	first := idle[0]
	candidates := pointersWhere(first, func(m member) bool {
		same := func(a *answer) bool { other, ok := a.member(m.pointer); return ok && other.sum == m.sum }
		return !u.excepted[m.pointer] && all(idle, same) && len(news) > 0 && !slices.ContainsFunc(news, same)
	})
	for _, pointer := range candidates {
		word, ok := wordAt(first.text, pointer)
		if !ok {
			continue
		}
		value, _ := first.member(pointer)
		u.lines = []string{"json " + pointer + " " + word}
		u.is = func(a *answer) bool { m, ok := a.member(pointer); return ok && m.sum == value.sum }
		u.reason = fmt.Sprintf("While nothing happens, %s is %s, and in no answer with news.", pointer, word)
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

func byBody(u *rule, idle, news []*answer) bool {
	var bodies []string
	for _, a := range idle {
		if !isWord(a.text) && !(len(a.text) == 1 && a.text >= "0" && a.text <= "9") || a.status != 200 {
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

var denial = regexp.MustCompile(`(?i)\b(no|none|nothing|not|empty|kein\w*|nichts|aucun\w*|rien|ning[uú]n\w*|nada)\b`)

// byPhrase finds a sentence that is in all answers with nothing new and in none with news.
// Sentences that deny something are preferred; without news to compare with, only they will
// do.
func byPhrase(u *rule, idle, news []*answer) bool {
	var found []string
	for _, text := range strings.FieldsFunc(idle[0].text, func(c rune) bool { return c == '<' || c == '>' || c == '\n' }) {
		text = strings.TrimSpace(text)
		contains := func(a *answer) bool { return strings.Contains(a.text, text) }
		if phrase.MatchString(text) && all(idle, contains) && !slices.ContainsFunc(news, contains) && (len(news) > 0 || denial.MatchString(text)) {
			found = append(found, text)
		}
	}
	if len(found) == 0 {
		return false
	}
	sentence := found[0]
	if i := slices.IndexFunc(found, denial.MatchString); i >= 0 {
		sentence = found[i]
	}
	u.lines = []string{`match "` + regexp.QuoteMeta(sentence) + `"`}
	u.is = func(a *answer) bool { return strings.Contains(a.text, sentence) }
	u.reason = "This sentence is in each answer with nothing new, and in none with news."
	return true
}

// pointersWhere returns the pointers of members that can be named and for which holds is
// true, those of few tokens first.
func pointersWhere(a *answer, holds func(m member) bool) []string {
	var pointers []string
	for _, m := range a.members {
		if isPrintable(m.pointer) && !strings.Contains(m.pointer, "*") && holds(m) {
			pointers = append(pointers, m.pointer)
		}
	}
	slices.SortStableFunc(pointers, func(x, y string) int { return strings.Count(x, "/") - strings.Count(y, "/") })
	return pointers
}

func isNothing(a *answer, pointer string) bool {
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
