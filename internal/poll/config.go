package poll

import (
	"context"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/parking"
)

// Config is what the polls of one handler have in common.
type Config struct {
	Asking  asker.Config
	Parking parking.Config

	// Broker keeps the history from which clients resume.
	Broker interface {
		Events(ctx context.Context, channels []string, after brokers.Position, limit int) (events []brokers.Event, complete bool, err error)
		Position() brokers.Position
	}

	// TimeoutStatus is the status of the answer at the timeout, or 0 for the backend's own.
	TimeoutStatus int
}
