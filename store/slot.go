package store

import "github.com/lockstepkv/lockstep/store/keyslot"

// SlotCount is the number of hash slots of Redis Cluster.
const SlotCount = keyslot.Count

// Slot returns the hash slot of key as Redis Cluster computes it.
func Slot(key []byte) uint16 { return keyslot.Of(key) }
