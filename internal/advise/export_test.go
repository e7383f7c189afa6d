package advise

import "testing"

// CheckLoads is set by the external test, which imports all of parker.
var CheckLoads func(t *testing.T, caddyfile string)
