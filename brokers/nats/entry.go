package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
)

// The header fields of an entry. All but the last two are for applications too.
const (
	contentTypeField = "Content-Type"
	eventField       = "Parker-Event"
	expiresField     = "Parker-Expires"
	idField          = "Parker-Id"
	nodeField        = "Parker-Node"
	numberField      = "Parker-Number"
)

const (
	maxTextBytes = 255     // of an event's type, and of its ID
	maxNodeBytes = 32      // of a node's name
	maxSeconds   = 1 << 31 // what larger numbers of seconds are taken for (RFC 9111, section 1.2.2)
)

// encode writes an entry as a message of the stream. The server tells by the
// Nats-Msg-Id whether it has it already.
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

// secondsOf writes a lifetime in seconds, to the millisecond. 0 says that the event
// is not remembered.
func secondsOf(lifetime time.Duration) string {
	if lifetime < 0 {
		return "0"
	}
	milliseconds := max(lifetime.Milliseconds(), 1)
	return fmt.Sprintf("%d.%03d", milliseconds/1000, milliseconds%1000)
}

// decode reads a message of the stream, which an application may have written. Its
// place there is not in it.
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
	if e.Lifetime, err = lifetimeOf(expires); err != nil {
		return replica.Entry{}, err
	}
	if e.Number, err = numberOf(e.Node, number); err != nil {
		return replica.Entry{}, err
	}
	if len(e.ID) > maxTextBytes || !utf8.ValidString(e.ID) || strings.ContainsFunc(e.ID, unprintable) {
		return replica.Entry{}, fmt.Errorf("%s is not at most %d bytes of printable UTF-8", idField, maxTextBytes)
	}
	return e, nil
}

// fieldOf is the value of a header field, or empty. Unlike NATS, HTTP does not tell
// upper from lower case in the names of fields.
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

// messageOf checks what is sent to clients as it stands.
func messageOf(body []byte, contentType, event string) (*brokers.Message, error) {
	contentType, err := contentTypeOf(contentType, body)
	if err != nil {
		return nil, err
	}
	if len(event) > maxTextBytes || !utf8.ValidString(event) || strings.ContainsFunc(event, unicode.IsControl) {
		return nil, fmt.Errorf("%s is not at most %d bytes of UTF-8 without control characters", eventField, maxTextBytes)
	}
	// The client has the body in one piece of memory with the header.
	return &brokers.Message{Body: bytes.Clone(body), ContentType: contentType, Type: event}, nil
}

// contentTypeOf is the content type of a message: the one declared, or what the body
// looks like. Nothing but a media type in printable ASCII passes (RFC 9110, sections
// 5.5 and 8.3.1).
func contentTypeOf(declared string, body []byte) (string, error) {
	switch {
	case declared == "" && json.Valid(body):
		return "application/json", nil
	case declared == "":
		return "text/plain; charset=utf-8", nil
	}
	mediaType, _, err := mime.ParseMediaType(declared)
	if err != nil || !strings.Contains(mediaType, "/") || strings.ContainsFunc(declared, notASCII) {
		return "", errors.New(contentTypeField + " is not a media type")
	}
	return declared, nil
}

// lifetimeOf reads a number of seconds, with up to three digits behind the point, as
// [brokers.Publication] has it.
func lifetimeOf(expires string) (time.Duration, error) {
	if expires == "" {
		return 0, nil
	}
	whole, fraction, pointed := strings.Cut(expires, ".")
	if whole == "" || pointed && fraction == "" || len(fraction) > 3 || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, errors.New(expiresField + " is not a number of seconds from 0, to the millisecond")
	}
	// The one error left is that the number is too large. It comes out as the largest
	// there is.
	seconds, _ := strconv.ParseInt(whole, 10, 64)
	milliseconds, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
	lifetime := time.Duration(min(seconds, maxSeconds))*time.Second + time.Duration(milliseconds)*time.Millisecond
	if lifetime == 0 {
		return -1, nil // not remembered at all
	}
	return lifetime, nil
}

// numberOf reads the number that comes with the name of a node.
func numberOf(node, number string) (uint64, error) {
	if node == "" && number == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || node == "" || len(node) > maxNodeBytes || strings.ContainsFunc(node, notAlphanumeric) {
		return 0, fmt.Errorf("%s and %s are parker's own, and are not as parker writes them", nodeField, numberField)
	}
	return n, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func notASCII(r rune) bool { return r < ' ' || r > '~' }

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}
