package hook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/publication"
)

// The header fields with the properties of an event.
const (
	eventField   = "Parker-Event"
	expiresField = "Parker-Expires"
	idField      = "Parker-Id"
)

// fields holds the properties of an event from the header of a request.
type fields struct {
	event    string        // the event's type, or empty
	id       string        // the publisher's own ID of the event, or empty
	lifetime time.Duration // as in [brokers.Publication]
}

func readFields(header http.Header) (read fields, refusal *Problem) {
	for _, field := range []struct {
		name string
		read func(value string) error
	}{
		{eventField, read.readEvent},
		{expiresField, read.readExpires},
		{idField, read.readID},
	} {
		values := header[field.name]
		if len(values) > 1 {
			return fields{}, refuse(http.StatusBadRequest, field.name+" is given more than once.")
		}
		if len(values) == 1 {
			if err := field.read(values[0]); err != nil {
				return fields{}, refuse(http.StatusBadRequest, fmt.Sprintf("%s %v.", field.name, err))
			}
		}
	}
	return read, nil
}

func (f *fields) readEvent(value string) error {
	f.event = value
	return publication.CheckType(value)
}

func (f *fields) readExpires(value string) (err error) {
	f.lifetime, err = publication.Lifetime(value)
	return err
}

func (f *fields) readID(value string) error {
	f.id = value
	return publication.CheckID(value)
}
