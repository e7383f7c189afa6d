package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers/internal/replica"
)

// Parameters of reading a stream.
const (
	blockTime   = time.Second // how long a read waits for entries
	firstCount  = 10          // how many entries the first read requests
	mostCount   = 500         // the most entries that a later read requests
	readBytes   = 1 << 20     // the approximate size that each read aims at
	trimEvery   = time.Minute
	longSilence = 10 * blockTime
)

var (
	errReplaced = errors.New("the log was replaced by a new one")
	errSwitched = errors.New("another server became the master")
)

// tail reads one stream, always over the same connection: another connection might lead
// to another server, or to an earlier state of this one.
type tail struct {
	*log
	client     rueidis.Client
	connection rueidis.DedicatedClient
	master     string
	epoch      string
	stream     string

	last    id        // the last entry that was read, or where reading starts
	count   int       // how many entries to request next
	settled time.Time // when the last read was completed
}

// Tail implements [replica.Log].
func (l *log) Tail(ctx context.Context, after uint64, receive func(replica.Batch)) error {
	client, err := l.connect(ctx)
	if err != nil {
		return err
	}
	t := &tail{log: l, client: client, stream: l.stream(), last: id(after), count: firstCount}
	if epoch := l.epoch.Load(); epoch != nil {
		t.epoch = *epoch
	}
	t.master = t.masterNow()
	t.connection, _ = client.Dedicate()
	defer leave(t.connection)
	for {
		if err := t.step(ctx, receive); err != nil {
			return err
		}
	}
}

// step reads once and passes the batch to receive.
func (t *tail) step(ctx context.Context, receive func(replica.Batch)) error {
	first := t.settled.IsZero()
	asked := t.count
	entries, err := t.read(ctx, !first)
	if err != nil {
		return err
	}
	// A stream keeps more entries than one read returns. So unread entries can have been
	// dropped only if a read returned as many as requested, or if this process was
	// suspended.
	if first || len(entries) == asked || time.Since(t.settled) > longSilence {
		if err := t.verify(ctx, len(entries) > 0); err != nil {
			return err
		}
	}
	batch := replica.Batch{InStep: len(entries) < asked}
	if first && t.last == 0 {
		if batch.Floor, err = t.floor(ctx, entries); err != nil {
			return err
		}
	}
	if batch.Entries, err = t.take(entries); err != nil {
		return err
	}
	t.settled = time.Now()
	receive(batch)
	return t.trim(ctx)
}

// read returns the entries after the last one. If wait is set, it waits for them. It
// checks that the log is the same after reading the entries, so that entries of another
// log are never returned.
func (t *tail) read(ctx context.Context, wait bool) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := patient(ctx, blockTime+answerPatience)
	defer cancel()
	build := t.client.B()
	arguments := []string{"COUNT", strconv.Itoa(t.count)}
	if wait {
		arguments = append(arguments, "BLOCK", strconv.FormatInt(blockTime.Milliseconds(), 10))
	}
	get := build.Get().Key(t.epochKey()).Build()
	commands := []rueidis.Completed{
		build.Arbitrary("XREAD").Args(arguments...).Args("STREAMS").Keys(t.stream).Args(t.last.String()).Blocking(),
		build.Exists().Key(t.stream).Build(),
	}
	if !t.cluster {
		commands = append(commands, get)
	}
	answers := t.connection.DoMulti(ctx, commands...)
	if t.cluster && firstError(answers) == nil {
		answers = append(answers, t.client.Do(ctx, get))
	}
	if err := firstError(answers); err != nil {
		return nil, why(ctx, err)
	}
	exists, _ := answers[1].AsInt64()
	epoch, _ := answers[2].ToString()
	switch {
	case exists == 0 || epoch != t.epoch:
		return nil, errReplaced
	case t.masterNow() != t.master:
		return nil, errSwitched
	}
	streams, err := answers[0].AsXRead()
	return streams[t.stream], notNil(err)
}

// masterNow returns the master that the sentinels name, or the empty string without
// sentinels. A former master that is cut off from the sentinels still answers reads.
func (t *tail) masterNow() string {
	if t.client.Mode() == rueidis.ClientModeSentinel {
		for address := range t.client.Nodes() {
			return address
		}
	}
	return ""
}

// verify returns an error if entries after the last one were lost. None were if the
// stream still holds the last entry, as a stream is trimmed from its beginning. more
// reports whether anything was read after it.
func (t *tail) verify(ctx context.Context, more bool) error {
	if t.last == 0 {
		return nil
	}
	ctx, cancel := patient(ctx, answerPatience)
	defer cancel()
	last := t.last.String()
	kept, err := t.connection.Do(ctx, t.client.B().Xrange().Key(t.stream).Start(last).End(last).Build()).AsXRange()
	if err != nil || len(kept) > 0 {
		return why(ctx, err)
	}
	now, err := stateOf(ctx, t.connection, t.stream)
	if err != nil {
		return why(ctx, err)
	}
	switch {
	case now.last == t.last && !more, now.first == t.last+1:
		return nil
	case now.last < t.last, now.first != 0 && now.first < t.last:
		return t.undone(ctx)
	}
	return replica.ErrGap
}

// undone handles a server that has lost its last entries: it was restarted with older
// data, or a replica that lagged behind took over. Only a process that has read the lost
// entries can detect this. It starts a new log for all processes.
func (t *tail) undone(ctx context.Context) error {
	t.logger.Warn("server lost entries, starting a new log", zap.String("stream", t.stream))
	return cmp.Or(why(ctx, t.begin(ctx, t.client, t.epoch, false)), errReplaced)
}

// floor returns the offset up to which a stream may have dropped entries.
func (t *tail) floor(ctx context.Context, entries []rueidis.XRangeEntry) (uint64, error) {
	var first id
	var err error
	if len(entries) > 0 {
		first, err = parseID(entries[0].ID)
	} else {
		ctx, cancel := patient(ctx, answerPatience)
		defer cancel()
		var now state
		if now, err = stateOf(ctx, t.connection, t.stream); err == nil && now.first == 0 {
			return uint64(now.last), nil
		}
		first, err = now.first, why(ctx, err)
	}
	return uint64(max(first, 1) - 1), err
}

// take decodes entries. It skips malformed ones, so that a mistake of an application does
// not block the entries after it.
func (t *tail) take(read []rueidis.XRangeEntry) (entries []replica.Entry, err error) {
	bytes := 0
	for _, r := range read {
		for field, value := range r.FieldValues {
			bytes += len(field) + len(value)
		}
		if t.last, err = parseID(r.ID); err != nil {
			return nil, err
		}
		e, err := decode(r.FieldValues)
		switch {
		case isMark(r.FieldValues):
		case err != nil:
			t.bad.Warn(t.logger, "skipped malformed stream entry", fmt.Errorf("%s, entry %s: %w", t.stream, r.ID, err))
		default:
			e.Offset, e.Time = uint64(t.last), t.last.time()
			entries = append(entries, e)
		}
	}
	if len(read) > 0 {
		t.count = min(max(len(read)*readBytes/max(bytes, 1), 1), mostCount)
	}
	return entries, nil
}

// trim drops entries that are too old, measured from the last entry, and entries beyond
// the maximum number. Applications that add entries do not trim the stream.
func (t *tail) trim(ctx context.Context) error {
	t.mu.Lock()
	early := time.Since(t.trimmed) < trimEvery
	if !early {
		t.trimmed = time.Now()
	}
	t.mu.Unlock()
	if early {
		return nil
	}
	ctx, cancel := patient(ctx, answerPatience)
	defer cancel()
	build := t.client.B()
	oldest := max(t.last.milliseconds(), uint64(t.age.Milliseconds())) - uint64(t.age.Milliseconds())
	err := firstError(t.connection.DoMulti(ctx,
		build.Xtrim().Key(t.stream).Minid().Almost().Threshold(strconv.FormatUint(oldest, 10)).Build(),
		build.Xtrim().Key(t.stream).Maxlen().Almost().Threshold(strconv.Itoa(t.events)).Build(),
	))
	if _, refused := rueidis.IsRedisErr(err); refused {
		t.logger.Warn("cannot trim stream", zap.String("stream", t.stream), zap.Error(err))
		return nil
	}
	return why(ctx, err)
}
