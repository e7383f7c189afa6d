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

// Epoch implements [replica.Log]. An epoch whose stream is not there is over: then
// that was deleted, or the server was emptied.
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
			l.logger.Warn("the stream in Redis is lost, so the log begins anew and all who wait ask again", zap.String("stream", l.stream()))
		}
		if err := l.begin(ctx, client, epoch, !there); err != nil {
			return "", why(ctx, err)
		}
	}
	return "", errUnsteady
}

// look returns the epoch, or nothing, and reports whether the stream is there.
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

// begin puts a new epoch in the place of the old one, which is empty if there is none.
// Of several processes that do so at once, one succeeds.
//
// A missing stream is made before, with an entry that no reader takes: so a process
// that finds the epoch finds the stream, and a new stream can be told from one that has
// lost what it held.
func (l *log) begin(ctx context.Context, client rueidis.Client, old string, missing bool) error {
	epoch := rand.Text()[:10]
	if missing {
		// The value is for people.
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

// isMark reports whether these fields are of the entry that begin adds.
func isMark(fields map[string]string) bool {
	return fields[channelField] == "" && fields[epochField] != ""
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
