package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTheAdviceForTheNotificationsServesThemAsTheirCaddyfileDoes(t *testing.T) {
	start(t) // skips if something is missing
	users := []string{"ada", "grace", "alan"}
	last := make([]int, 2*len(users)) // each has two devices
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		poll := func(ctx context.Context, page int) {
			of := &example{&runtest.Example{Address: address}, t}
			answer := caddytest.Do(ctx, http.MethodGet, of.url(users[page/2], last[page]), "", fmt.Sprint("User-Agent: device ", page))
			var news []struct{ ID int }
			json.Unmarshal([]byte(answer.Body), &news)
			for _, notification := range news {
				last[page] = notification.ID
			}
		}
		runtest.Visit(t, len(last), 300*time.Millisecond, poll, 12, 700*time.Millisecond, func(number int) {
			(&example{&runtest.Example{Address: address}, t}).send(users[number%len(users)], fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	t.Run("what is sent arrives", TestWhatIsSentArrivesOnTheStream)
	t.Run("what was missed arrives", TestWhatWasMissedArrivesAfterAReconnect)
	t.Run("what is another user's is not heard", TestWhatIsAnotherUsersIsNotHeard)
	t.Run("a poll is held", TestAPollOfTheSameURLIsHeld)
	t.Run("what the backend refuses is refused", TestWhatTheBackendRefusesIsRefused)
}
