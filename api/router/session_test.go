package router_test

import (
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestViewIsSeenWhole: whoever lists clients sees a session before or after a command, never
// half of what it changes.
func TestViewIsSeenWhole(t *testing.T) {
	r, _, s := newRouter(t, routertest.Options{}, router.Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			for _, line := range []string{"HELLO 3 SETNAME me", "READONLY", "RESET"} {
				r.Do(t.Context(), s, cmd(line))
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		if i := s.Info(); (i.Name == "me") != (i.Proto == 3) || i.Readonly && i.Name == "" {
			t.Errorf("seen: %+v", i.View)
			<-done
			return
		}
	}
}

// TestSessionsBeginAlike, and do not share what they change.
func TestSessionsBeginAlike(t *testing.T) {
	r, _, first := newRouter(t, routertest.Options{}, router.Config{})
	script(t, r, first, "HELLO 3 SETNAME me => [server redis version 7.0.15 proto 3 id 1 mode standalone role master modules []]\nMULTI => +OK\n")
	second := r.NewSession("c:1", router.KindRESP)
	defer second.Close()
	if a, b := first.Info(), second.Info(); a.Proto != 3 || a.Queued != 0 || a.Command != "multi" || b.View != (router.View{Proto: 2, Queued: -1}) || b.Command != "NULL" {
		t.Errorf("%+v, %+v", a, b)
	}
}
