package readindex

import (
	"testing"
	"time"
)

func TestLeaseGivenUpIsNotTakenAgainInItsTerm(t *testing.T) {
	var l lease
	l.extend(7, time.Second, time.Second)
	if !l.valid(7, 1800*time.Millisecond) || l.valid(7, 1900*time.Millisecond) || l.valid(8, 1800*time.Millisecond) {
		t.Fatal("a lease of 1 s from second 1 lasts until 1.9 s, in its term")
	}
	l.giveUp(7)
	l.extend(7, 2*time.Second, time.Second) // a round that was in flight, or one after a transfer that failed
	if l.valid(7, 2*time.Second) {
		t.Error("the leader leases again in a term in which it gave its lease up")
	}
	l.extend(9, 2*time.Second, time.Second)
	if !l.valid(9, 2*time.Second) {
		t.Error("no lease in a later term")
	}
}

func TestLateRoundDoesNotShortenALease(t *testing.T) {
	var l lease
	l.extend(7, 2*time.Second, time.Second)
	l.extend(7, time.Second, time.Second)
	if !l.valid(7, 2500*time.Millisecond) {
		t.Error("a round that began earlier and ended later took the lease back")
	}
}
