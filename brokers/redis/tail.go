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

// How a stream is read.
const (
	blockTime   = time.Second // how long a read waits for entries
	firstCount  = 10          // entries that the first read asks for
	mostCount   = 500         // and any later one at most
	readBytes   = 1 << 20     // about how much each is to bring
	trimEvery   = time.Minute // by age
	longSilence = 10 * blockTime
)

var (
	errReplaced = errors.New("the log has begun anew")
	errSwitched = errors.New("another server has become the master")
)

// tail reads one stream by a connection of its own, and that only: on another one
// there may be another server, or this one as it was some time ago.
type tail struct {
	*log
	client     rueidis.Client
	connection rueidis.DedicatedClient
	master     string
	epoch      string
	stream     string

	last    id        // the last that was read, or from which on it is
	count   int       // how many entries to ask for
	settled time.Time // when last was the last there was
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

// step reads once, and hands over what there was.
func (t *tail) step(ctx context.Context, receive func(replica.Batch)) error {
	first := t.settled.IsZero()
	asked := t.count
	entries, err := t.read(ctx, !first)
	if err != nil {
		return err
	}
	// A stream keeps more entries than are read at a time. So some can have been dropped
	// unread only where there are as many as were asked for, or this process was at a
	// halt.
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

// read returns what the stream holds behind the last entry, and may wait for it. That
// the log is still the same is asked after the entries were read: so none of another
// log is ever taken for one of this.
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

// masterNow is the server that sentinels name. One that has lost its office without
// knowing still answers.
func (t *tail) masterNow() string {
	if t.client.Mode() == rueidis.ClientModeSentinel {
		for address := range t.client.Nodes() {
			return address
		}
	}
	return ""
}

// verify finds out whether what was read behind the last entry is all there was. So it
// is where that entry is still there, as a stream is trimmed from its beginning. More
// tells whether anything was read.
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

// undone is for a server that does not hold any more what was read from it, but what
// came before: it was restarted with less than it had, or a replica with less took
// over. Only who has read what is lost can tell. So the log begins anew, for all.
func (t *tail) undone(ctx context.Context) error {
	t.logger.Warn("the server does not hold any more what it did, so the log begins anew and all who wait ask again", zap.String("stream", t.stream))
	return cmp.Or(why(ctx, t.begin(ctx, t.client, t.epoch, false)), errReplaced)
}

// floor is up to where a stream that is read from its beginning is not known.
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

// take decodes entries. What cannot be read is left out: an application has written
// it, and must not keep others from what comes behind it.
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
			t.bad.Warn(t.logger, "an entry in Redis is not one to parker and left out", fmt.Errorf("%s, entry %s: %w", t.stream, r.ID, err))
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

// trim drops from the stream what is too old, by the time of the last entry, or too
// much, which applications do not do.
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
		t.logger.Warn("a stream in Redis cannot be trimmed", zap.String("stream", t.stream), zap.Error(err))
		return nil
	}
	return why(ctx, err)
}
