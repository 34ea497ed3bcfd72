//go:build harness

package transport

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// followPoll is how soon a change of the file takes effect.
const followPoll = 10 * time.Millisecond

// HeldSuffix is what the file with the counts is called after the other one.
const HeldSuffix = ".held"

// Follow lets a file say from whom this node hears nothing: the ids of peers,
// separated by spaces. It is read again and again for the life of the process;
// while it is absent everybody is heard. How often something was held up is
// written beside it, a line "peer count" each.
func (f *Faults) Follow(path string) {
	f.obey(path)
	go func() {
		var told map[string]int64
		for range time.Tick(followPoll) {
			f.obey(path)
			if held := f.Held(); !maps.Equal(held, told) && writeHeld(path+HeldSuffix, held) == nil {
				told = held
			}
		}
	}()
}

func (f *Faults) obey(path string) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return
	}
	deaf := strings.Fields(string(text))
	f.mu.Lock()
	var changed []string
	for _, peer := range deaf {
		if f.in[peer] != Drop {
			changed = append(changed, peer)
		}
	}
	for peer, fault := range f.in {
		if fault == Drop && !slices.Contains(deaf, peer) {
			changed = append(changed, peer)
		}
	}
	f.mu.Unlock()
	for _, peer := range changed {
		fault := Healthy
		if slices.Contains(deaf, peer) {
			fault = Drop
		}
		f.Set(peer, Inbound, fault)
	}
}

func writeHeld(path string, held map[string]int64) error {
	var b strings.Builder
	for _, peer := range slices.Sorted(maps.Keys(held)) {
		fmt.Fprintf(&b, "%s %d\n", peer, held[peer])
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
