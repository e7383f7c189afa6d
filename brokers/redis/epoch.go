package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/brokers"
)

var errUnsteady = errors.New("the log is begun anew again and again")

// Epoch implements [replica.Log]. An epoch whose streams are not all there is over:
// then they were deleted, or a server was emptied.
func (l *log) Epoch(ctx context.Context) (string, error) {
	ctx, cancel := attentive(ctx)
	defer cancel()
	client, err := l.connect(ctx)
	if err != nil {
		return "", err
	}
	for range 5 {
		epoch, missing, err := l.look(ctx, client)
		if err != nil {
			return "", why(ctx, err)
		}
		if len(missing) == 0 && brokers.IsEpoch(epoch) {
			l.epoch.Store(&epoch)
			return epoch, nil
		}
		if epoch != "" {
			l.logger.Warn("the log in Redis is not whole, so it begins anew and all who wait ask again", zap.Strings("missing", missing))
		}
		if err := l.begin(ctx, client, epoch, missing); err != nil {
			return "", why(ctx, err)
		}
	}
	return "", errUnsteady
}

// look finds the epoch, or nothing, and the streams that are not there.
func (l *log) look(ctx context.Context, client rueidis.Client) (epoch string, missing []string, err error) {
	commands := []rueidis.Completed{client.B().Get().Key(l.epochKey()).Build()}
	for shard := range l.shards {
		commands = append(commands, client.B().Exists().Key(l.stream(shard)).Build())
	}
	answers := client.DoMulti(ctx, commands...)
	if err := firstError(answers); err != nil {
		return "", nil, err
	}
	for shard, answer := range answers[1:] {
		if n, _ := answer.AsInt64(); n == 0 {
			missing = append(missing, l.stream(shard))
		}
	}
	epoch, _ = answers[0].ToString()
	return epoch, missing, nil
}

// begin puts a new epoch in the place of the old one, which is empty if there is none.
// Of several processes that do so at once, one succeeds.
//
// Each missing stream is made before, with an entry that no reader takes: so whoever
// finds the epoch finds the streams, and a new stream can be told from one that has
// lost what it held.
func (l *log) begin(ctx context.Context, client rueidis.Client, old string, missing []string) error {
	epoch := rand.Text()[:10]
	for _, stream := range missing {
		if err := client.Do(ctx, mark(client.B(), stream, epoch)).Error(); err != nil {
			return err
		}
	}
	if old == "" {
		err := client.Do(ctx, client.B().Set().Key(l.epochKey()).Value(epoch).Nx().Build()).Error()
		return notNil(err)
	}
	return transact(ctx, client, l.epochKey(), func(connection rueidis.DedicatedClient) (bool, error) {
		current, err := connection.Do(ctx, connection.B().Get().Key(l.epochKey()).Build()).ToString()
		return current == old, notNil(err)
	}, client.B().Set().Key(l.epochKey()).Value(epoch).Build())
}

// mark is the command that adds a stream's first entry. The value is for people.
func mark(build rueidis.Builder, stream, value string) rueidis.Completed {
	return build.Xadd().Key(stream).Id("*").FieldValue().FieldValue(epochField, value).Build()
}

// isMark tells whether that is what these fields are of.
func isMark(fields map[string]string) bool {
	return fields[channelField] == "" && fields[epochField] != ""
}

// clear empties a stream whose IDs have become too large: the server counts on from
// them, so nothing that is added to it would have an offset.
func (l *log) clear(ctx context.Context, client rueidis.Client, stream string) error {
	build := client.B()
	return transact(ctx, client, stream, func(connection rueidis.DedicatedClient) (bool, error) {
		now, err := stateOf(ctx, connection, stream)
		_, ok := now.last.offset()
		return !ok, err
	}, build.Del().Key(stream).Build(), mark(build, stream, "cleared"))
}

// transact changes a key, if it is as it should be and nobody changes it meanwhile.
func transact(ctx context.Context, client rueidis.Client, key string, holds func(rueidis.DedicatedClient) (bool, error), changes ...rueidis.Completed) error {
	connection, _ := client.Dedicate()
	defer leave(connection)
	build := connection.B()
	if err := connection.Do(ctx, build.Watch().Key(key).Build()).Error(); err != nil {
		return err
	}
	if ok, err := holds(connection); err != nil || !ok {
		return err
	}
	commands := append([]rueidis.Completed{build.Multi().Build()}, changes...)
	return firstError(connection.DoMulti(ctx, append(commands, build.Exec().Build())...))
}

// state is what is known of a stream as a whole.
type state struct {
	first id // of what is kept, or zero
	last  id // the last that was given, kept or not
}

func stateOf(ctx context.Context, client rueidis.CoreClient, stream string) (s state, err error) {
	info, err := client.Do(ctx, client.B().XinfoStream().Key(stream).Build()).AsMap()
	if err != nil {
		return state{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	last := info["last-generated-id"]
	text, err := last.ToString()
	if err != nil {
		return state{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	if s.last, err = parseID(text); err != nil {
		return state{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	first := info["first-entry"]
	entry, err := first.AsXRangeEntry()
	if rueidis.IsRedisNil(err) {
		return s, nil
	}
	if err == nil {
		s.first, err = parseID(entry.ID)
	}
	return s, err
}

// notNil is the error, or nil where it says that there is nothing.
func notNil(err error) error {
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}
