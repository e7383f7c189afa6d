package nats

import (
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestLogLosesNothingWhenLeaderIsKilled(t *testing.T) {
	t.Parallel()
	cluster := caddytest.StartNATSCluster(t, 3)
	nodes := []string{"a", "b"}
	logs := make(map[string]*log)
	for _, node := range nodes {
		logs[node], _ = openLog(t, Broker{URLs: cluster.URLs(), Replicas: 3})
	}
	epoch := logs["a"].mustEpoch(t)
	logs["b"].mustEpoch(t)

	const last = 1500
	published := make(chan error, len(nodes))
	readers := make(map[string]*reader)
	for _, node := range nodes {
		readers[node] = logs[node].follow(t)
		go func() { published <- logs[node].publishSteadily(t.Context(), node, last, 3*time.Millisecond) }()
	}
	for read := 500; read <= 1500; read += 500 {
		readers["a"].awaitRead(t, read)
		leader := cluster.Leader(t, defaultStream)
		leader.Stop()
		readers["a"].awaitRead(t, read+100)
		leader.Restart(t)
		cluster.AwaitCurrent(t, defaultStream)
	}
	for range nodes {
		if err := <-published; err != nil {
			t.Fatal(err)
		}
	}
	for _, reader := range readers {
		for _, node := range nodes {
			reader.awaitNumber(t, node, last)
			inOrder(t, reader.read(), node, 1, last)
		}
	}
	if again := logs["a"].mustEpoch(t); again != epoch {
		t.Errorf("the epoch was %s and is %s", epoch, again)
	}
}

func TestLogFindsServersOfClusterThatAreNotConfigured(t *testing.T) {
	t.Parallel()
	cluster := caddytest.StartNATSCluster(t, 3)
	l, _ := openLog(t, Broker{URLs: cluster.URLs()[:1], Replicas: 3})
	epoch := l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 10)...)
	cluster[0].Stop()
	if again := l.mustEpoch(t); again != epoch {
		t.Errorf("the epoch was %s and is %s", epoch, again)
	}
	l.follow(t).awaitRead(t, 10)
}
