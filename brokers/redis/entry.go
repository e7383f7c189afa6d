package redis

import (
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/publication"
)

// The fields of an entry in a stream. The package documentation describes them.
const (
	channelField = "channel"
	bodyField    = "body"
	typeField    = "type"
	eventField   = "event"
	idField      = "id"
	expiresField = "expires"
	nodeField    = "node"
	numberField  = "number"

	// epochField is the field of the marker entry that starts a stream.
	epochField = "epoch"
)

// maxBody is the maximum size of a message, in bytes.
const maxBody = 64 << 20

var errTooLarge = fmt.Errorf("the body is larger than %d bytes", maxBody)

// encode returns the fields of an entry and their values.
func encode(e replica.Entry) (fieldsAndValues []string) {
	fields := []string{channelField, e.Channel}
	add := func(field, value string) {
		if value != "" {
			fields = append(fields, field, value)
		}
	}
	if e.Message != nil {
		add(bodyField, rueidis.BinaryString(e.Message.Body))
		add(typeField, e.Message.ContentType)
		add(eventField, e.Message.Type)
	}
	add(idField, e.ID)
	if e.Lifetime < 0 {
		add(expiresField, "0")
	} else if e.Lifetime > 0 {
		add(expiresField, strconv.FormatFloat(float64(e.Lifetime.Milliseconds())/1000, 'f', -1, 64))
	}
	if e.Node != "" {
		add(nodeField, e.Node)
		add(numberField, strconv.FormatUint(e.Number, 10))
	}
	return fields
}

// decode parses the fields of an entry, which an application may have added. Unknown
// fields are ignored.
func decode(fields map[string]string) (replica.Entry, error) {
	e := replica.Entry{Channel: fields[channelField], ID: fields[idField], Node: fields[nodeField]}
	if err := brokers.CheckChannel(e.Channel); err != nil {
		return replica.Entry{}, err
	}
	if e.ID != "" {
		if err := publication.CheckID(e.ID); err != nil {
			return replica.Entry{}, fmt.Errorf("%s %w", idField, err)
		}
	}
	var err error
	if e.Message, err = decodeMessage(fields[bodyField], fields[typeField], fields[eventField]); err != nil {
		return replica.Entry{}, err
	}
	if expires := fields[expiresField]; expires != "" {
		if e.Lifetime, err = publication.Lifetime(expires); err != nil {
			return replica.Entry{}, fmt.Errorf("%s %w", expiresField, err)
		}
	}
	if e.Number, err = replica.ParseNumber(e.Node, fields[numberField]); err != nil {
		return replica.Entry{}, err
	}
	return e, nil
}

// decodeMessage returns a message, or nil if the body is empty.
func decodeMessage(body, contentType, event string) (*brokers.Message, error) {
	switch {
	case body == "":
		return nil, nil
	case len(body) > maxBody:
		return nil, errTooLarge
	}
	if err := publication.CheckType(event); err != nil {
		return nil, fmt.Errorf("%s %w", eventField, err)
	}
	m := &brokers.Message{Body: []byte(body), Type: event}
	var err error
	if m.ContentType, err = publication.ContentType(contentType, m.Body); err != nil {
		return nil, fmt.Errorf("%s %w", typeField, err)
	}
	return m, nil
}
