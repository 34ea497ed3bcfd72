package leadership

import (
	"errors"
	"testing"
	"time"
)

func TestOneTransferAtATime(t *testing.T) {
	var ts transfers
	if err := ts.begin("n2", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := ts.begin("n3", time.Now()); !errors.Is(err, ErrRefused) {
		t.Errorf("a second transfer: %v", err)
	}
	ts.end("n2", errors.New("timeout"))
	if err := ts.begin("n2", time.Now().Add(-time.Second)); !errors.Is(err, ErrRefused) {
		t.Errorf("again to a target of which nothing was heard since: %v", err)
	}
	if err := ts.begin("n3", time.Time{}); err != nil {
		t.Errorf("to another target: %v", err)
	}
	ts.end("n3", nil)
	if err := ts.begin("n2", time.Now().Add(time.Second)); err != nil {
		t.Errorf("to a target that is back: %v", err)
	}
}
