package commandset

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/command/commandtest"
)

// TestTreesAreWhatTheParsersTake: whatever words the argument tree of a command allows, the
// command has enough of them and does not call them a syntax error.
func TestTreesAreWhatTheParsersTake(t *testing.T) {
	table := New()
	rng := rand.New(rand.NewPCG(1, 1))
	forEach(table, func(sp *command.Spec) {
		if sp.Inner > 0 || sp.Flags.Has(command.Composite) || strings.HasPrefix(sp.Name, "command|getkeys") {
			return // their words are those of other commands
		}
		if least := len(namesOf(sp)) + leastWords(sp.Args); (sp.Arity > 0) && least != sp.Arity || sp.Arity < 0 && least < -sp.Arity {
			t.Errorf("%s: arity %d, and its arguments are at least %d words", sp.Name, sp.Arity, least)
		}
		if sp.Parse == nil {
			return
		}
		for range 200 {
			args := append(namesOf(sp), wordsOf(rng, sp.Args)...)
			if _, err := sp.Parse(args); err != nil && (strings.Contains(err.Error(), "syntax") || strings.Contains(err.Error(), "wrong number")) {
				t.Errorf("%s: %v", commandtest.Quote(args), err)
				return
			}
		}
	})
}

// forEach visits commands and subcommands.
func forEach(table *command.Table, visit func(sp *command.Spec)) {
	for _, sp := range table.Specs() {
		if len(sp.Sub) == 0 {
			visit(sp)
		}
		for _, sub := range sp.Sub {
			visit(sub)
		}
	}
}

func namesOf(sp *command.Spec) command.Args {
	var args command.Args
	for _, name := range strings.Split(sp.Name, "|") {
		args = append(args, []byte(name))
	}
	return args
}

func leastWords(args []command.Arg) int {
	n := 0
	for _, a := range args {
		switch {
		case a.Optional:
			continue
		case a.Type == "block":
			n += leastWords(a.Args)
		case a.Type == "oneof":
			n += leastWords(a.Args[:1])
		case a.Type != "pure-token":
			n++
		}
		if a.Token != "" {
			n++
		}
	}
	return n
}

// wordsOf makes words that args allow.
func wordsOf(rng *rand.Rand, args []command.Arg) command.Args {
	var words command.Args
	for i, a := range args {
		if a.Optional && rng.IntN(2) == 0 {
			continue
		}
		if a.Token != "" {
			words = append(words, []byte(a.Token))
		}
		times := 1
		if a.Multiple && (i == 0 || args[i-1].Name != "numkeys") { // which is 1 here, as every integer
			times += rng.IntN(3)
		}
		for i := range times {
			if i > 0 && a.Repeated {
				words = append(words, []byte(a.Token))
			}
			words = append(words, wordsOfOne(rng, a)...)
		}
	}
	return words
}

func wordsOfOne(rng *rand.Rand, a command.Arg) command.Args {
	switch a.Type {
	case "block":
		return wordsOf(rng, a.Args)
	case "oneof":
		one := a.Args[rng.IntN(len(a.Args))]
		one.Optional = false
		return wordsOf(rng, []command.Arg{one})
	case "pure-token":
		return nil
	case "integer", "double", "unix-time":
		return command.Args{[]byte("1")}
	}
	return command.Args{[]byte("0")}
}
