// Package e2e tests parker from outside: a real Caddy, real backends and real clients.
package e2e

import (
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }
