//go:build failpoints

package shard

import "github.com/lockstepkv/lockstep/store"

// Corrupt changes this replica's data behind the log's back, by a key that no client
// uses. For simulations.
func (g *Group) Corrupt() {
	g.fsm.Reconfigure(func(s *store.Store) { s.Put([]byte("never logged"), nil, 0, false) })
}
