package transport

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A secret is replaced on one node after the other, and whatever connections are made
// meanwhile are taken. In the end the old one opens nothing.
func TestASecretIsReplacedNodeByNode(t *testing.T) {
	before, after := testSecret, bytes.Repeat([]byte("n"), MinSecretBytes)
	c := newCluster(t, 3)
	current := map[string]*atomic.Pointer[[][]byte]{}
	replace := func(id string, list ...[]byte) { current[id].Store(&list) }
	for id := range c.peers {
		of := new(atomic.Pointer[[][]byte])
		current[id] = of
		replace(id, before)
		c.start(id, withSecrets(func() [][]byte { return *of.Load() })).Handle(mEcho, echo)
	}
	reconnect := func(when string) {
		t.Helper()
		for _, n := range c.nodes {
			for _, p := range n.all() {
				for i := range p.links {
					if conn := p.links[i].conn.Load(); conn != nil {
						conn.fail(errors.New("for the test"))
					}
				}
			}
		}
		for _, n := range c.nodes {
			for id := range c.nodes {
				c.connected(n, id)
				eventually(t, n.id+" calls "+id+" "+when, func() bool {
					_, err := n.Call(within(t, time.Second), id, mEcho, nil)
					return err == nil
				})
			}
		}
	}
	reconnect("with the old secret")
	for _, step := range [][][]byte{{after, before}, {after}} {
		for _, id := range []string{"n1", "n2", "n3"} {
			replace(id, step...)
			reconnect("after a replacement on " + id)
		}
	}
	replace("n1", before)
	p := c.nodes["n1"].all()["n2"]
	for i := range p.links {
		if conn := p.links[i].conn.Load(); conn != nil {
			conn.fail(errors.New("for the test"))
		}
	}
	eventually(t, "the old secret is refused", func() bool {
		_, err := c.nodes["n1"].Call(context.Background(), "n2", mEcho, nil)
		return errors.Is(err, ErrSecret)
	})
}

// The secret that a peer has accepted is the first to be shown.
func TestTheAcceptedSecretIsShownFirst(t *testing.T) {
	a, b := bytes.Repeat([]byte("a"), 32), bytes.Repeat([]byte("b"), 32)
	list := [][]byte{a, b}
	tr, p := &Transport{secrets: func() [][]byte { return list }}, new(peer)
	first := func() string { return string(tr.shown(p)[0][:1]) }
	if got := first(); got != "a" {
		t.Errorf("at the beginning: %s", got)
	}
	p.secret.Store(&b)
	if got := first(); got != "b" || len(tr.shown(p)) != 2 {
		t.Errorf("after b was accepted: %s", got)
	}
	list = [][]byte{a}
	if got := first(); got != "a" {
		t.Errorf("without b: %s", got)
	}
}
