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

var errUnsteady = errors.New("the epoch of the log keeps changing")

// Epoch implements [replica.Log]. An epoch without its stream is no longer valid: the
// stream was deleted, or the server was emptied.
func (l *log) Epoch(ctx context.Context) (string, error) {
	ctx, cancel := attentive(ctx)
	defer cancel()
	client, err := l.connect(ctx)
	if err != nil {
		return "", err
	}
	for range 5 {
		epoch, there, err := l.look(ctx, client)
		if err != nil {
			return "", why(ctx, err)
		}
		if there && brokers.IsEpoch(epoch) {
			l.epoch.Store(&epoch)
			return epoch, nil
		}
		if epoch != "" {
			l.logger.Warn("stream lost, starting a new log", zap.String("stream", l.stream()))
		}
		if err := l.begin(ctx, client, epoch, !there); err != nil {
			return "", why(ctx, err)
		}
	}
	return "", errUnsteady
}

// look returns the epoch, or the empty string if there is none, and reports whether the
// stream exists.
func (l *log) look(ctx context.Context, client rueidis.Client) (epoch string, there bool, err error) {
	answers := client.DoMulti(ctx,
		client.B().Get().Key(l.epochKey()).Build(),
		client.B().Exists().Key(l.stream()).Build(),
	)
	if err := firstError(answers); err != nil {
		return "", false, err
	}
	epoch, _ = answers[0].ToString()
	n, _ := answers[1].AsInt64()
	return epoch, n > 0, nil
}

// begin replaces the old epoch, which may be empty, with a new one. If several processes
// do so at once, one succeeds.
//
// A missing stream is created first, with a marker entry that readers skip. So a process
// that finds the epoch also finds the stream, and a new stream can be distinguished from
// one that has lost its entries.
func (l *log) begin(ctx context.Context, client rueidis.Client, old string, missing bool) error {
	epoch := rand.Text()[:10]
	if missing {
		// Only people read the value.
		mark := client.B().Xadd().Key(l.stream()).Id("*").FieldValue().FieldValue(epochField, epoch).Build()
		if err := client.Do(ctx, mark).Error(); err != nil {
			return err
		}
	}
	if old == "" {
		err := client.Do(ctx, client.B().Set().Key(l.epochKey()).Value(epoch).Nx().Build()).Error()
		return notNil(err)
	}
	connection, _ := client.Dedicate()
	defer leave(connection)
	build := connection.B()
	watched := connection.DoMulti(ctx, build.Watch().Key(l.epochKey()).Build(), build.Get().Key(l.epochKey()).Build())
	if err := firstError(watched); err != nil {
		return err
	}
	if current, _ := watched[1].ToString(); current != old {
		return nil
	}
	return firstError(connection.DoMulti(ctx,
		build.Multi().Build(),
		build.Set().Key(l.epochKey()).Value(epoch).Build(),
		build.Exec().Build(),
	))
}

// isMark reports whether the fields are those of the marker entry that begin adds.
func isMark(fields map[string]string) bool {
	return fields[channelField] == "" && fields[epochField] != ""
}

// state holds the bounds of a stream.
type state struct {
	first id // the first entry that the stream holds, or zero
	last  id // the last ID that was assigned, even if its entry is gone
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

// notNil returns err, or nil if err stands for a nil reply of Redis.
func notNil(err error) error {
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}
