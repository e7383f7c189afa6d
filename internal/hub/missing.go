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

// separate are the brokers of this project that are separate modules, and so are not
// part of every build.
var separate = []string{"nats", "redis"}

// checkBroker returns an error if this build does not include the broker. The error says
// how to build Caddy with it.
func checkBroker(name string) error {
	if _, err := caddy.GetModule(brokerNamespace + "." + name); err == nil {
		return nil
	}
	var builtIn []string
	for _, module := range caddy.GetModules(brokerNamespace) {
		builtIn = append(builtIn, module.ID.Name())
	}
	if slices.Contains(separate, name) {
		return fmt.Errorf("the broker %s is not included in this build of Caddy, only: %s. Build Caddy with it: %sgithub.com/caddy-parker/parker/brokers/%s",
			name, strings.Join(builtIn, ", "), buildCommand, name)
	}
	return fmt.Errorf("unknown broker %q: this build of Caddy includes only: %s. The brokers of parker are memory, %s. To build Caddy with another module: %s<module>",
		name, strings.Join(builtIn, ", "), strings.Join(separate, ", "), buildCommand)
}

// checkRawBroker is checkBroker for a broker in JSON. Other errors are found when the
// module is loaded.
func checkRawBroker(raw json.RawMessage) error {
	var broker struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(raw, &broker) != nil || broker.Name == "" {
		return nil
	}
	return checkBroker(broker.Name)
}
