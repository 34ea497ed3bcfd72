package raftlog

import (
	"slices"
	"testing"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// TestCommandIndexAgreesWithAList compares it with a list of all entries that ever were, of which the log
// holds a part.
func TestCommandIndexAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c commandIndex
		types := map[uint64]raft.LogType{}
		known := uint64(0) // below it nothing is known
		first, last := uint64(0), uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				if last == 0 {
					first = rapid.Uint64Range(1, 9).Draw(t, "first")
					last, known = first-1, first
				}
				last++
				types[last] = rapid.SampledFrom([]raft.LogType{raft.LogCommand, raft.LogNoop, raft.LogBarrier, raft.LogConfiguration}).Draw(t, "type")
				c.push(last, types[last])
			},
			"drop head": func(t *rapid.T) {
				if last == 0 {
					return
				}
				upTo := rapid.Uint64Range(first, last).Draw(t, "up to")
				if c.dropHead(upTo); upTo == last {
					first, last = 0, 0
					return
				}
				first = upTo + 1
			},
			"drop tail": func(t *rapid.T) {
				if last == 0 {
					return
				}
				from := rapid.Uint64Range(first, last).Draw(t, "from")
				if c.dropTail(from); from == first {
					first, last = 0, 0
					return
				}
				last = from - 1
			},
			"": func(t *rapid.T) {
				for i := uint64(0); i < last+3; i++ {
					want := i
					if last != 0 && i <= last {
						for want >= known && want > 0 && types[want] != raft.LogCommand {
							want--
						}
					}
					got := c.newest(i)
					if got != want && (i >= first || last == 0 || got < want || got > i) {
						t.Fatalf("log %d to %d: newest command at or below %d is %d, want %d", first, last, i, got, want)
					}
				}
			},
		})
	})
}

func TestNewestCommandSurvivesARestart(t *testing.T) {
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), Engine: engine}
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			types := []raft.LogType{raft.LogConfiguration, raft.LogNoop, raft.LogCommand, raft.LogBarrier, raft.LogNoop, raft.LogCommand, raft.LogNoop}
			for i, typ := range types {
				if err := s.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 1, Type: typ, Data: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
			want := []uint64{0, 0, 0, 3, 3, 3, 6, 6, 8}
			for range 2 {
				var got []uint64
				for i := range want {
					got = append(got, s.NewestCommand(uint64(i)))
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(o); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.DeleteRange(1, 4); err != nil {
				t.Fatal(err)
			}
			if got := s.NewestCommand(5); got != 3 {
				t.Errorf("newest command at or below 5 is %d after the head is gone, want 3", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(o); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := s.NewestCommand(5); got != 4 {
				t.Errorf("newest command at or below 5 is %d after a restart, want 4, the last that is not known", got)
			}
		})
	}
}
