package main

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
)

// TestPasswordCannotBeTakenOffAnOpenNode while it runs, as it could not start
// without one.
func TestPasswordCannotBeTakenOffAnOpenNode(t *testing.T) {
	for _, c := range []struct {
		http, resp, password string
		ok                   bool
	}{
		{"127.0.0.1:1", "127.0.0.1:2", "", true},
		{"127.0.0.1:1", "[::1]:2", "other", true},
		{"0.0.0.0:1", "127.0.0.1:2", "", false},
		{"127.0.0.1:1", ":2", "", false},
		{"10.0.0.1:1", "10.0.0.1:2", "other", true},
	} {
		s := &server{cfg: Config{Listen: ListenConfig{HTTP: c.http, RESP: c.resp}}}
		old, next := router.DefaultSettings(), router.DefaultSettings()
		old.RequirePass, next.RequirePass = "secret", c.password
		if err := s.Reload(t.Context(), old, next); (err == nil) != c.ok {
			t.Errorf("%s and %s, password %q: %v", c.http, c.resp, c.password, err)
		}
	}
}
