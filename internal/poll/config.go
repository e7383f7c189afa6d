package poll

import (
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/parking"
)

// Config is what the polls of one handler have in common.
type Config struct {
	Asking  asker.Config
	Parking parking.Config

	// TimeoutStatus is the status of the answer at the timeout, or 0 for the backend's own.
	TimeoutStatus int
}
