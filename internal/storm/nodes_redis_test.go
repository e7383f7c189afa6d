package storm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// redisServer is a Redis server that writes to disk before it answers.
type redisServer struct{ *caddytest.Redis }

func startRedis(t *testing.T) engine {
	return redisServer{caddytest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")}
}

// option implements [engine].
func (r redisServer) option(t *testing.T) (string, []*caddytest.Proxy) {
	p := caddytest.StartProxy(t, r.Address())
	return fmt.Sprintf("broker redis {\n url redis://%s\n}", p.Address), []*caddytest.Proxy{p}
}

// fail implements [engine].
func (r redisServer) fail(t *testing.T) {
	r.Kill()
	<-time.After(rand.N(time.Second))
	r.Restart(t)
}
