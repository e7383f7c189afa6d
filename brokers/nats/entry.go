package nats

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/publication"
)

// The header fields of an entry. Applications may set all but the last two.
const (
	contentTypeField = "Content-Type"
	eventField       = "Parker-Event"
	expiresField     = "Parker-Expires"
	idField          = "Parker-Id"
	nodeField        = "Parker-Node"
	numberField      = "Parker-Number"
)

// encode returns an entry as a message for the stream. The server uses the Nats-Msg-Id
// to detect duplicates.
func encode(prefix string, e replica.Entry) *nats.Msg {
	m := nats.NewMsg(prefix + "." + tokenOf(e.Channel))
	if e.Message != nil {
		m.Data = e.Message.Body
		m.Header.Set(contentTypeField, e.Message.ContentType)
		if e.Message.Type != "" {
			m.Header.Set(eventField, e.Message.Type)
		}
	}
	if e.ID != "" {
		m.Header.Set(idField, e.ID)
	}
	if e.Lifetime != 0 {
		m.Header.Set(expiresField, secondsOf(e.Lifetime))
	}
	number := strconv.FormatUint(e.Number, 10)
	m.Header.Set(nodeField, e.Node)
	m.Header.Set(numberField, number)
	m.Header.Set(nats.MsgIdHdr, e.Node+"."+number)
	return m
}

// secondsOf formats a lifetime in seconds with three decimals. A negative lifetime
// becomes 0, which means that the event is not remembered.
func secondsOf(lifetime time.Duration) string {
	if lifetime < 0 {
		return "0"
	}
	milliseconds := max(lifetime.Milliseconds(), 1)
	return fmt.Sprintf("%d.%03d", milliseconds/1000, milliseconds%1000)
}

// decode parses a message of the stream, which an application may have written. It does
// not set Offset and Time.
func decode(prefix string, subject string, header nats.Header, body []byte) (e replica.Entry, err error) {
	if e.Channel, err = channelOf(strings.TrimPrefix(subject, prefix+".")); err != nil {
		return replica.Entry{}, err
	}
	var contentType, event, expires, number string
	for name, into := range map[string]*string{
		contentTypeField: &contentType,
		eventField:       &event,
		expiresField:     &expires,
		idField:          &e.ID,
		nodeField:        &e.Node,
		numberField:      &number,
	} {
		if *into, err = fieldOf(header, name); err != nil {
			return replica.Entry{}, err
		}
	}
	if len(body) > 0 {
		if e.Message, err = messageOf(body, contentType, event); err != nil {
			return replica.Entry{}, err
		}
	}
	if expires != "" {
		if e.Lifetime, err = publication.Lifetime(expires); err != nil {
			return replica.Entry{}, fmt.Errorf("%s %w", expiresField, err)
		}
	}
	if e.ID != "" {
		if err := publication.CheckID(e.ID); err != nil {
			return replica.Entry{}, fmt.Errorf("%s %w", idField, err)
		}
	}
	if e.Number, err = replica.ParseNumber(e.Node, number); err != nil {
		return replica.Entry{}, err
	}
	return e, nil
}

// fieldOf returns the value of a header field, or the empty string. Field names are
// compared without regard to case, as in HTTP but unlike in NATS.
func fieldOf(header nats.Header, name string) (value string, err error) {
	count := 0
	for key, values := range header {
		if strings.EqualFold(key, name) && len(values) > 0 {
			value = values[0]
			count += len(values)
		}
	}
	if count > 1 {
		return "", errors.New(name + " is given more than once")
	}
	return value, nil
}

// messageOf returns a message. It checks the content type and the event type, as they
// are sent to clients unchanged.
func messageOf(body []byte, contentType, event string) (*brokers.Message, error) {
	contentType, err := publication.ContentType(contentType, body)
	if err != nil {
		return nil, fmt.Errorf("%s %w", contentTypeField, err)
	}
	if err := publication.CheckType(event); err != nil {
		return nil, fmt.Errorf("%s %w", eventField, err)
	}
	// Cloned, because the client's slice would keep the header in memory as well.
	return &brokers.Message{Body: bytes.Clone(body), ContentType: contentType, Type: event}, nil
}
