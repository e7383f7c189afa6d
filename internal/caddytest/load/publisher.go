package load

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// Publisher publishes the items of a topic on a channel. It is used by one goroutine.
type Publisher struct {
	Load  *Load
	Topic *Topic

	// Hook is the URL of the channel at the hook.
	Hook string

	// Transport is the transport of its requests. Without it, that is
	// [http.DefaultTransport].
	Transport http.RoundTripper
}

// padding is what longer messages are filled with.
const padding = "xxxx"

// Message publishes the next message, which is padded to at least the length.
func (p *Publisher) Message(length int) caddytest.Publication {
	number := p.Topic.Messages.Add()
	text := p.Topic.Messages.Text(number)
	if length > 0 {
		text += " " + strings.Repeat(padding, 1+length/len(padding))
	}
	publication := p.Publish(text, "Parker-Id: "+p.Topic.Messages.Text(number))
	p.Topic.Messages.Done(number)
	return publication
}

// Row adds the next row to the board and publishes a wake-up.
func (p *Publisher) Row() caddytest.Publication {
	number := p.Topic.Rows.Add()
	publication := p.Publish("")
	p.Topic.Rows.Done(number)
	return publication
}

// Publish publishes an event at the hook. Header lines are given as "Name: value".
func (p *Publisher) Publish(body string, header ...string) (publication caddytest.Publication) {
	answer := p.Send(p.Hook, body, header...)
	err := json.Unmarshal([]byte(answer.Body), &publication)
	if err != nil || answer.Status != http.StatusOK {
		p.Load.Breaks("a publish at %s was answered %+v", p.Hook, answer)
	}
	return publication
}

// Exchange publishes the next message as soon as the number of polls is parked on the
// channel, and returns the answer when all clients of the topic have heard the message.
// They may hear it twice, because the publish may be sent again.
func (p *Publisher) Exchange(polls int) caddytest.Answer {
	caddytest.AwaitWaiting(p.Load.T, p.Hook, polls)
	number := p.Topic.Messages.Add()
	p.Topic.Messages.Set(number, Item{Published: time.Now(), Twice: true})
	answer := p.Send(p.Hook, p.Topic.Messages.Text(number))
	if answer.Status != http.StatusOK && answer.Status != http.StatusAccepted {
		p.Load.Breaks("a publish at %s was answered %+v", p.Hook, answer)
	}
	p.Load.awaitHeard(func(c *Client) bool { return slices.Contains(c.Messages, p.Topic) })
	return answer
}

// Send sends a POST request, again if it is turned away at a reload.
func (p *Publisher) Send(url, body string, header ...string) caddytest.Answer {
	next := p.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	return caddytest.DoWith(p.Load.T.Context(), again{p.Load, next}, http.MethodPost, url, body, header...)
}
