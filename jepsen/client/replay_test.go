package client

import (
	"context"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/client/clienttest"
	"github.com/lockstepkv/lockstep/jepsen/history"
)

// A write that a node took before its connection broke is in doubt. Were it sent
// again, the refusal of the copy would make it a failed one.
func TestWritesAreNotSentTwice(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(*HTTP) Reply
	}{
		{"put under an id", func(h *HTTP) Reply { return h.Once(context.Background(), "id", "SET", "k", "v") }},
		{"command under an id", func(h *HTTP) Reply { return h.Once(context.Background(), "id", "APPEND", "k", "v") }},
		{"without an id", func(h *HTTP) Reply { return h.Do(context.Background(), "SET", "k", "v") }},
		{"without a body", func(h *HTTP) Reply {
			_, r := h.call(context.Background(), "DELETE", "/v1/keys/k", "id", nil, &struct{}{})
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := NewHTTP(Endpoint{HTTP: clienttest.AnswersOnce(t), Timeout: 2 * time.Second})
			defer client.Close()
			if r := client.Do(context.Background(), "SET", "k", "first"); r.Outcome != history.OK {
				t.Fatalf("the first request: %v", r.Err)
			}
			check(t, c.write(client), history.InDoubt, false)
		})
	}
}
