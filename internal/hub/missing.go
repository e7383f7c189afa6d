package hub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

const (
	brokerNamespace = "parker.brokers"
	buildCommand    = "xcaddy build --with github.com/caddy-parker/parker --with "
)

// separate are the brokers of this project that are built in only if they are asked
// for.
var separate = []string{"nats", "redis"}

// checkBroker returns an error if the build does not have a broker, with what to do.
func checkBroker(name string) error {
	if _, err := caddy.GetModule(brokerNamespace + "." + name); err == nil {
		return nil
	}
	var builtIn []string
	for _, module := range caddy.GetModules(brokerNamespace) {
		builtIn = append(builtIn, module.ID.Name())
	}
	if slices.Contains(separate, name) {
		return fmt.Errorf("the broker %s is not in this build of Caddy, which has: %s. Build one that has it: %sgithub.com/caddy-parker/parker/brokers/%s",
			name, strings.Join(builtIn, ", "), buildCommand, name)
	}
	return fmt.Errorf("there is no broker %q in this build of Caddy, which has: %s. parker's own are memory, %s; one by somebody else is built in by: %s<its module>",
		name, strings.Join(builtIn, ", "), strings.Join(separate, ", "), buildCommand)
}

// checkRawBroker is checkBroker for the JSON of one. What is wrong otherwise, loading it
// says.
func checkRawBroker(raw json.RawMessage) error {
	var broker struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(raw, &broker) != nil || broker.Name == "" {
		return nil
	}
	return checkBroker(broker.Name)
}
