package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batchReply is the reply subject of a message in a batch:
//
//	<inbox>.<batch>.<messages between two answers>.<mode>.<number>.<operation>.$FI
//
// In the mode fail, the server accepts no message of a batch after one that it did not
// accept. NATS calls this fast-ingest batch publishing. It needs version 2.14.
const batchReply = "%s.%s.1000.fail.%d.%d.$FI"

// The operations of a batch.
const (
	beginBatch  = 0
	appendBatch = 1
	commitBatch = 2
)

// leastTogether is the number of messages from which a batch is faster than one message
// after the other.
const leastTogether = 16

// batchAnswer is one of the answers to a batch.
type batchAnswer struct {
	Type  string              `json:"type"` // empty in the answer that ends the batch
	Error *jetstream.APIError `json:"error"`

	Stream string `json:"stream"`
	Count  int    `json:"count"` // of accepted messages
}

// publishTogether adds messages as one batch and waits for the answer.
func (l *log) publishTogether(ctx context.Context, link *link, messages []*nats.Msg) error {
	inbox := link.conn.NewInbox()
	answers, err := link.conn.SubscribeSync(inbox + ".>")
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	defer answers.Unsubscribe()
	batch := rand.Text()
	for i, m := range messages {
		operation := appendBatch
		switch i {
		case 0:
			operation = beginBatch
		case len(messages) - 1:
			operation = commitBatch
		}
		reply := fmt.Sprintf(batchReply, inbox, batch, i+1, operation)
		if err := link.conn.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: reply, Header: m.Header, Data: m.Data}); err != nil {
			return refusal(m, err)
		}
	}
	for {
		answer, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
		if ended, err := l.readAnswer(answer, len(messages)); ended || err != nil {
			return err
		}
	}
}

// readAnswer reports whether the batch has ended. It returns an error if the server did
// not accept the whole batch.
func (l *log) readAnswer(m *nats.Msg, messages int) (ended bool, err error) {
	if m.Header.Get("Status") == strconv.Itoa(503) {
		return false, fmt.Errorf("publishing: %w", nats.ErrNoResponders)
	}
	var answer batchAnswer
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return false, fmt.Errorf("publishing: reading the answer: %w", err)
	}
	switch {
	case answer.Error != nil:
		return false, fmt.Errorf("publishing: %w", answer.Error)
	case answer.Type != "":
		return false, nil
	case answer.Stream != l.config.Name:
		return false, fmt.Errorf("%w: %s", errElsewhere, answer.Stream)
	case answer.Count < messages:
		return false, fmt.Errorf("publishing: the server accepted only the first %[2]d of %[1]d entries", messages, answer.Count)
	}
	return true, nil
}
