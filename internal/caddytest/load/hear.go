package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// prepare makes the client part of the load.
func (c *Client) prepare(l *Load, number int) {
	if c.load != nil {
		return
	}
	c.load, c.number = l, number
	for _, t := range c.Messages {
		c.messages = append(c.messages, &record{Items: &t.Messages, settled: !l.Unsettled})
	}
	if c.Rows != nil {
		c.rows = []*record{{Items: &c.Rows.Rows, settled: true, rows: true}}
		c.Backend = true
	}
}

// records returns what the client has heard.
func (c *Client) records() []*record {
	return append(c.messages[:len(c.messages):len(c.messages)], c.rows...)
}

// begin begins a request. It returns the number of rows that the client has.
func (c *Client) begin() (since int) {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.site, c.form, c.listening = c.Sites[rand.N(len(c.Sites))], c.Form, time.Now()
	if c.form == Any {
		c.form = []Form{Poll, Batch, Stream}[rand.N(3)]
	}
	for _, r := range c.messages {
		r.again = r.sure
	}
	for _, r := range c.rows {
		since = r.highest
	}
	return since
}

// listen notes since when the client has been ready to hear.
func (c *Client) listen(since time.Time) {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	c.listening = since
}

// moveTo changes the position of the client, unless there is no ID.
func (c *Client) moveTo(id string) {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	if id == "" || id == c.Position {
		return
	}
	c.Position = id
	for _, r := range c.messages {
		r.sure = r.highest
	}
}

// takeAnswer takes the answer to a poll.
func (c *Client) takeAnswer(id, text string, since int) error {
	var batch []struct{ ID, Data string }
	if c.form == Batch && json.Unmarshal([]byte(text), &batch) == nil {
		for _, event := range batch {
			if err := c.take(event.Data, since); err != nil {
				return err
			}
			c.moveTo(event.ID)
		}
	} else if text != "" {
		if id == "" && !isRows(text) {
			return fmt.Errorf("heard %q without a position", shown(text))
		}
		if err := c.take(text, since); err != nil {
			return err
		}
	}
	c.moveTo(id)
	return nil
}

// takeEvent takes an event of a stream.
func (c *Client) takeEvent(event caddytest.Event, since int) error {
	switch {
	case event.Type == "":
		return c.take(event.Data, since)
	case event.Type != "parker.reset":
		return fmt.Errorf("heard %+v", event)
	case !c.Anew:
		return &Failure{Reset, errors.New("was sent parker.reset")}
	}
	return nil
}

// take notes a message, or the rows after since.
func (c *Client) take(text string, since int) error {
	if !isRows(text) {
		_, err := c.takeItem(c.messages, text)
		return err
	}
	var rows []string
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return fmt.Errorf("heard %q: %w", shown(text), err)
	}
	for i, row := range rows {
		if number, err := c.takeItem(c.rows, row); err != nil {
			return err
		} else if number != since+1+i {
			return fmt.Errorf("heard %q in the place of %d", row, since+1+i)
		}
	}
	return nil
}

func isRows(text string) bool { return strings.HasPrefix(text, "[") }

// takeItem notes an item of one of the records.
func (c *Client) takeItem(records []*record, text string) (number int, err error) {
	var name string
	if _, err := fmt.Sscan(text, &name, &number); err != nil {
		return 0, fmt.Errorf("heard %q: %w", shown(text), err)
	}
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	for _, r := range records {
		if r.name != name {
			continue
		}
		heard := len(r.heard)
		if fault := r.note(number); fault != "" {
			return 0, errors.New(fault)
		}
		if len(r.heard) > heard {
			c.latest = time.Now()
			c.load.heard.Add(1)
		}
		return number, nil
	}
	return 0, fmt.Errorf("heard %q, which belongs to somebody else", shown(text))
}

// shown returns the text without padding.
func shown(text string) string {
	text, _, _ = strings.Cut(text, " "+padding)
	return text
}

// verdict returns what is wrong with all that the client has heard, or "".
func (c *Client) verdict() string {
	c.load.mu.Lock()
	defer c.load.mu.Unlock()
	for _, r := range c.records() {
		if fault := r.verdict(); fault != "" {
			return fault
		}
	}
	return ""
}
