package zset

import (
	"math/rand/v2"
	"testing"
)

const benchMembers = 1 << 20

func benchSet() (*ZSet, [][]byte) {
	z := NewLarge()
	for i := range benchMembers {
		z.Add(benchMember(i, 16), float64(i), DefaultLimits())
	}
	rng := rand.New(rand.NewPCG(5, 6))
	members := make([][]byte, 1<<16)
	for i := range members {
		members[i] = benchMember(rng.IntN(benchMembers), 16)
	}
	return z, members
}

func BenchmarkScore(b *testing.B) {
	z, members := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		z.Score(members[i%len(members)])
	}
}

func BenchmarkRank(b *testing.B) {
	z, members := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		z.Rank(members[i%len(members)])
	}
}

func BenchmarkAddOtherScore(b *testing.B) {
	z, members := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		z.Add(members[i%len(members)], float64(i*7919%benchMembers), DefaultLimits())
	}
}

func BenchmarkAddAndRemoveNew(b *testing.B) {
	z, _ := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if member := benchMember(benchMembers+i/2, 16); i%2 == 0 {
			z.Add(member, float64(i*7919%benchMembers), DefaultLimits())
		} else {
			z.Remove(member)
		}
	}
}

// Every change comes right after a freeze: each copies its ways.
func BenchmarkAddAfterFreeze(b *testing.B) {
	z, members := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v := z.Freeze()
		z.Add(members[i%len(members)], float64(i*7919%benchMembers), DefaultLimits())
		v.Release()
	}
}

func BenchmarkRange100(b *testing.B) {
	z, _ := benchSet()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := 0
		z.Ascend(i*7919%benchMembers, func([]byte, float64) bool {
			n++
			return n < 100
		})
	}
}
