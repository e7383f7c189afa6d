package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
)

// The fields of an entry in a stream, which the package's comment describes.
const (
	channelField = "channel"
	bodyField    = "body"
	typeField    = "type"
	eventField   = "event"
	idField      = "id"
	expiresField = "expires"
	nodeField    = "node"
	numberField  = "number"

	// epochField is that of the entry without a channel with which a stream begins.
	epochField = "epoch"
)

// Bounds on what an entry holds.
const (
	maxBody    = 64 << 20 // bytes
	maxText    = 255      // bytes of an event's type, an ID or a content type
	maxNode    = 32       // bytes
	maxSeconds = 1 << 31  // larger numbers of seconds are taken for it
)

var errTooLarge = fmt.Errorf("the body is larger than %d bytes", maxBody)

// encode is the fields of an entry and their values.
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

// decode reads the fields of an entry, which anybody may have added. Fields that it
// does not know are ignored.
func decode(fields map[string]string) (replica.Entry, error) {
	e := replica.Entry{Channel: fields[channelField], ID: fields[idField], Node: fields[nodeField]}
	if err := brokers.CheckChannel(e.Channel); err != nil {
		return replica.Entry{}, err
	}
	if len(e.ID) > maxText || !utf8.ValidString(e.ID) || strings.ContainsFunc(e.ID, unprintable) {
		return replica.Entry{}, fmt.Errorf("the id is not at most %d bytes of printable UTF-8", maxText)
	}
	var err error
	if e.Message, err = decodeMessage(fields[bodyField], fields[typeField], fields[eventField]); err != nil {
		return replica.Entry{}, err
	}
	if e.Lifetime, err = decodeExpires(fields[expiresField]); err != nil {
		return replica.Entry{}, err
	}
	if e.Number, err = decodeNumber(e.Node, fields[numberField]); err != nil {
		return replica.Entry{}, err
	}
	return e, nil
}

// decodeMessage is nil where there is no body.
func decodeMessage(body, contentType, event string) (*brokers.Message, error) {
	switch {
	case body == "":
		return nil, nil
	case len(body) > maxBody:
		return nil, errTooLarge
	case len(event) > maxText || !utf8.ValidString(event) || strings.ContainsFunc(event, unicode.IsControl):
		return nil, fmt.Errorf("the event is not at most %d bytes of UTF-8 without control characters", maxText)
	}
	m := &brokers.Message{Body: []byte(body), ContentType: contentType, Type: event}
	if contentType != "" {
		return m, checkContentType(contentType)
	}
	m.ContentType = "text/plain; charset=utf-8"
	if json.Valid(m.Body) {
		m.ContentType = "application/json"
	}
	return m, nil
}

// checkContentType lets nothing pass but a media type in printable ASCII: it is sent
// to clients as it stands (RFC 9110, sections 5.5 and 8.3.1).
func checkContentType(contentType string) error {
	notASCII := func(r rune) bool { return r < ' ' || r > '~' }
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(mediaType, "/") || len(contentType) > maxText || strings.ContainsFunc(contentType, notASCII) {
		return fmt.Errorf("the type is not a media type of at most %d bytes", maxText)
	}
	return nil
}

// decodeExpires reads seconds into a lifetime, as [brokers.Publication] has it.
func decodeExpires(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if strings.Trim(text, "0123456789.") != "" || errors.Is(err, strconv.ErrSyntax) {
		return 0, errors.New("expires is not a number of seconds from 0")
	}
	lifetime := time.Duration(math.Round(min(seconds, maxSeconds)*1000)) * time.Millisecond
	if lifetime == 0 {
		return -1, nil // not remembered at all
	}
	return lifetime, nil
}

// decodeNumber reads what parker adds: which of its processes has published, and the
// count of what that did.
func decodeNumber(node, text string) (uint64, error) {
	if node == "" && text == "" {
		return 0, nil
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil || number == 0 || node == "" || len(node) > maxNode || !isWord(node) {
		return 0, errors.New("node and number, which are parker's own, make no sense")
	}
	return number, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// isWord tells whether a text is of ASCII letters and digits only.
func isWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
