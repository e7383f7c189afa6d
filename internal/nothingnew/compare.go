package nothingnew

import (
	"bytes"
	"encoding/json"
)

// comparison compares a JSON value with the start of a text, from left to right, and
// knows of the first byte that no text of an equal value has there. Every start of an
// equal text passes. What passes need not be equal, nor valid JSON.
type comparison struct {
	text    []byte // what is not compared yet
	outcome outcome
}

// outcome is what a comparison has come to.
type outcome uint8

const (
	agrees     outcome = iota // so far
	unfinished                // the text has ended, and agrees
	differs
)

func compareJSON(value any, text []byte) comparison {
	c := comparison{text: text}
	c.value(value)
	return c
}

// mayBeWhole reports whether the text may be the start of the value's text, with
// nothing but white space behind it.
func (c comparison) mayBeWhole() bool {
	return c.outcome == unfinished || c.outcome == agrees && len(skipSpace(c.text)) == 0
}

// more reports whether there is more to compare, and skips white space before it.
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

// member compares with that of the members which the text has next.
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

// number compares with the number as a whole, as soon as its end is there.
func (c *comparison) number(value json.Number) {
	rest := bytes.TrimLeft(c.text, "+-.0123456789Ee")
	written := c.text[:len(c.text)-len(rest)]
	switch {
	case len(written) == 0:
		c.outcome = differs
	case len(rest) == 0:
		c.outcome = unfinished
	case parseNumber(json.Number(written)) != parseNumber(value):
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

// mark compares with one of JSON's structural characters.
func (c *comparison) mark(character byte) {
	if !c.more() {
		return
	}
	if c.text[0] != character {
		c.outcome = differs
	}
	c.text = c.text[1:]
}

// quoted takes a string off the text, as it is written, with its quotes.
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

// spells reports whether a string, as it is written, is the value.
func spells(written []byte, value string) bool {
	if bytes.IndexByte(written, '\\') < 0 {
		return string(written[1:len(written)-1]) == value
	}
	var spelt string
	return json.Unmarshal(written, &spelt) == nil && spelt == value
}

// maySpell reports whether a string that is written so far may become the value. Of
// what is behind a backslash nothing is said.
func maySpell(written []byte, value string) bool {
	plain, _, _ := bytes.Cut(written[1:], []byte{'\\'})
	return len(plain) <= len(value) && string(plain) == value[:len(plain)]
}
