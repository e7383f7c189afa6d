package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-parker/parker/examples/internal/runtest"
)

func TestTheAdviceForTheNotificationsServesThemAsTheirCaddyfileDoes(t *testing.T) {
	start(t)                                  // skips if something is missing
	users := []string{"ada", "grace", "alan"} // each has two devices
	caddyfile := runtest.Advise(t, ports, "Caddyfile", func(address string) {
		of := &example{&runtest.Example{Address: address}, t}
		poll := runtest.Lists(2*len(users), "id", "User-Agent: device ", func(page, last int) string { return of.url(users[page/2], last) })
		runtest.Visit(t, 2*len(users), 300*time.Millisecond, poll, 12, 700*time.Millisecond, func(number int) {
			of.send(users[number%len(users)], fmt.Sprint("hello ", number))
		})
	})
	runtest.Use(t, "Caddyfile", caddyfile)
	t.Run("what is sent arrives", TestWhatIsSentArrivesOnTheStream)
	t.Run("what was missed arrives", TestWhatWasMissedArrivesAfterAReconnect)
	t.Run("what is another user's is not heard", TestWhatIsAnotherUsersIsNotHeard)
	t.Run("a poll is held", TestAPollOfTheSameURLIsHeld)
	t.Run("what the backend refuses is refused", TestWhatTheBackendRefusesIsRefused)
}
