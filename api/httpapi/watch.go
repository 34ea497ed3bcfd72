package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/lockstepkv/lockstep/fsm/lock"
	"github.com/lockstepkv/lockstep/fsm/wait"
)

// watchBeat is how often a stream says that it is alive.
const watchBeat = 15 * time.Second

// watchLock streams a lock's events (server-sent events, HTML standard 9.2). The
// first event is the state; granted and lost follow as this node learns of them.
// After a gap the state comes again.
func (a *api) watchLock(w http.ResponseWriter, r *http.Request, name string) {
	events, stop := a.router.LockEvents(name) // before the state is read, so that nothing falls between
	defer func() { stop() }()
	state, index, err := a.lockState(r, name)
	if err != nil {
		failWith(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodHead {
		return // or the client waits for the end of an answer of which it sees nothing
	}
	out := stream{w: w, flush: http.NewResponseController(w)}
	if out.send("state", index, state) != nil {
		return
	}
	beat := time.NewTicker(watchBeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-a.router.Stopping():
			return
		case <-beat.C:
			err = out.comment()
		case e, ok := <-events:
			if ok {
				if e.Index > index { // else it is in the state already
					err = out.event(e)
				}
				break
			}
			stop()
			events, stop = a.router.LockEvents(name)
			if state, index, err = a.lockState(r, name); err == nil {
				err = out.send("state", index, state)
			}
		}
		if err != nil {
			return // the client is gone, or must begin again
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

func (s stream) event(told wait.Event) error {
	e, _ := told.What.(lock.Event)
	switch e.Kind {
	case lock.EventGranted:
		return s.send("granted", told.Index, map[string]any{
			"name": e.Name, "fence": e.Fence, "owner": e.Owner, "expires_at_ms": e.ExpiresAt,
		})
	case lock.EventLost:
		return s.send("lost", told.Index, map[string]any{
			"name": e.Name, "fence": e.Fence, "owner": e.Owner, "reason": e.Reason.String(),
		})
	}
	return nil
}

func (s stream) send(event string, id uint64, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.w, "event: %s\nid: %d\ndata: %s\n\n", event, id, text); err != nil {
		return err
	}
	return s.flush.Flush()
}

func (s stream) comment() error {
	if _, err := fmt.Fprint(s.w, ": alive\n\n"); err != nil {
		return err
	}
	return s.flush.Flush()
}
