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

// Messages of a batch are told apart by the subject for the answer:
//
//	<inbox>.<batch>.<messages from one answer to the next>.<mode>.<number>.<operation>.$FI
//
// In the mode fail, the server takes no message of a batch behind one that it did not
// take. NATS 2.14 and later know them, and call it fast-ingest batch publishing.
const batchReply = "%s.%s.1000.fail.%d.%d.$FI"

// The operations.
const (
	beginBatch  = 0
	appendBatch = 1
	commitBatch = 2
)

// leastTogether is how many messages are quicker added in a batch than one after the
// other.
const leastTogether = 16

// batchAnswer is one of several to a batch.
type batchAnswer struct {
	Type  string              `json:"type"` // of one that does not end it; else empty
	Error *jetstream.APIError `json:"error"`

	Stream string `json:"stream"`
	Count  int    `json:"count"` // of the messages that were added
}

// publishTogether adds messages without waiting for each.
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

// readAnswer tells whether the batch has ended, and was added whole.
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
		return false, fmt.Errorf("publishing: of %d entries the first %d were taken", messages, answer.Count)
	}
	return true, nil
}
