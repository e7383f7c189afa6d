package nothingnew

import (
	"bytes"
	"encoding/json"

	"github.com/caddy-parker/parker/internal/jsonvalue"
)

// comparison compares a JSON value with the start of a text, from left to right. It
// stops at the first byte that the text of an equal value cannot have. It accepts every
// start of the text of an equal value, but also some texts that are not equal or not
// valid JSON.
type comparison struct {
	text    []byte // the part that is not compared yet
	outcome outcome
}

// outcome is the state of a comparison.
type outcome uint8

const (
	agrees     outcome = iota // no difference so far
	unfinished                // no difference, and the text has ended
	differs
)

func compareJSON(value any, text []byte) comparison {
	c := comparison{text: text}
	c.value(value)
	return c
}

// mayBeWhole reports whether the text may be the start of the value's text, or the whole
// of it followed only by white space.
func (c comparison) mayBeWhole() bool {
	return c.outcome == unfinished || c.outcome == agrees && len(skipSpace(c.text)) == 0
}

// more skips white space and reports whether there is more text to compare.
func (c *comparison) more() bool {
	if c.outcome == agrees {
		if c.text = skipSpace(c.text); len(c.text) == 0 {
			c.outcome = unfinished
		}
	}
	return c.outcome == agrees
}

func (c *comparison) value(value any) {
	if !c.more() {
		return
	}
	switch value := value.(type) {
	case []any:
		c.array(value)
	case map[string]any:
		c.object(value)
	case string:
		c.string(value)
	case json.Number:
		c.number(value)
	case bool:
		if value {
			c.word("true")
		} else {
			c.word("false")
		}
	default:
		c.word("null")
	}
}

func (c *comparison) array(elements []any) {
	c.mark('[')
	for i, element := range elements {
		if i > 0 {
			c.mark(',')
		}
		c.value(element)
	}
	c.mark(']')
}

func (c *comparison) object(members map[string]any) {
	c.mark('{')
	for i := range len(members) {
		if i > 0 {
			c.mark(',')
		}
		c.member(members)
	}
	c.mark('}')
}

// member compares the next member in the text with the member of the same name.
func (c *comparison) member(members map[string]any) {
	if !c.more() {
		return
	}
	written := c.quoted()
	for name, value := range members {
		switch {
		case c.outcome == agrees && spells(written, name):
			c.mark(':')
			c.value(value)
			return
		case c.outcome == unfinished && maySpell(written, name):
			return
		}
	}
	c.outcome = differs
}

func (c *comparison) string(value string) {
	written := c.quoted()
	if c.outcome == agrees && !spells(written, value) || c.outcome == unfinished && !maySpell(written, value) {
		c.outcome = differs
	}
}

// number compares a number. It is compared as a whole, so only if the text goes on after
// it.
func (c *comparison) number(value json.Number) {
	rest := bytes.TrimLeft(c.text, "+-.0123456789Ee")
	written := c.text[:len(c.text)-len(rest)]
	switch {
	case len(written) == 0:
		c.outcome = differs
	case len(rest) == 0:
		c.outcome = unfinished
	case jsonvalue.ParseNumber(json.Number(written)) != jsonvalue.ParseNumber(value):
		c.outcome = differs
	}
	c.text = rest
}

func (c *comparison) word(word string) {
	n := min(len(word), len(c.text))
	switch {
	case string(c.text[:n]) != word[:n]:
		c.outcome = differs
	case n < len(word):
		c.outcome = unfinished
	}
	c.text = c.text[n:]
}

// mark compares one of JSON's structural characters.
func (c *comparison) mark(character byte) {
	if !c.more() {
		return
	}
	if c.text[0] != character {
		c.outcome = differs
	}
	c.text = c.text[1:]
}

// quoted removes a string from the text and returns it as it is written, with its quotes.
func (c *comparison) quoted() (written []byte) {
	if c.text[0] != '"' {
		c.outcome = differs
		return nil
	}
	for i := 1; i < len(c.text); i++ {
		switch c.text[i] {
		case '\\':
			i++
		case '"':
			written, c.text = c.text[:i+1], c.text[i+1:]
			return written
		}
	}
	written, c.text, c.outcome = c.text, nil, unfinished
	return written
}

// spells reports whether a string, as it is written, has the value.
func spells(written []byte, value string) bool {
	if bytes.IndexByte(written, '\\') < 0 {
		return string(written[1:len(written)-1]) == value
	}
	var spelt string
	return json.Unmarshal(written, &spelt) == nil && spelt == value
}

// maySpell reports whether an incomplete string, as it is written so far, may become the
// value. It does not check anything after a backslash.
func maySpell(written []byte, value string) bool {
	plain, _, _ := bytes.Cut(written[1:], []byte{'\\'})
	return len(plain) <= len(value) && string(plain) == value[:len(plain)]
}
