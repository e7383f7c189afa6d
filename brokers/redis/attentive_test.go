package redis

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// A process that stops, or that has found the server unreachable, does not wait for
// answers.
func TestLogCallsEndWithTheirContextWhenServerIsSilent(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *log) error{
		"Append": func(ctx context.Context, l *log) error {
			return l.Append(ctx, []replica.Entry{{Channel: "a"}})
		},
		"Append of several": func(ctx context.Context, l *log) error {
			return l.Append(ctx, []replica.Entry{{Channel: "a"}, {Channel: "b"}})
		},
		"Epoch": func(ctx context.Context, l *log) error {
			_, err := l.Epoch(ctx)
			return err
		},
		"Listen": func(ctx context.Context, l *log) error {
			return l.Listen(ctx, func(replica.Entry) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := caddytest.StartRedis(t)
			l := openAt(t, server)
			epochOf(t, l)
			server.Pause()
			defer server.Resume()
			begin := time.Now()
			// Without the context, each call would wait some seconds for its answer.
			for range 5 {
				ctx, end := context.WithCancel(t.Context())
				time.AfterFunc(200*time.Millisecond, end)
				if err := ask(ctx, l); err == nil {
					t.Error("it succeeded")
				}
			}
			if took := time.Since(begin); took > noticed {
				t.Errorf("they took %v to end", took)
			}
		})
	}
}
