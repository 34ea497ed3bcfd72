package check

import (
	"fmt"
	"hash/maphash"

	"github.com/anishathalye/porcupine"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

// registerState is the value of one register.
type registerState struct {
	found bool
	value string
	// unseen: the value is one of those that nobody saw, whichever.
	unseen bool
	used   int // writes in doubt that must have happened so far, though nobody saw them
}

func registerModel() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return registerState{} },
		Step: func(state, input, _ any) (bool, any) {
			return stepRegister(state.(registerState), input.(registerCall))
		},
		Hash: func(state any) uint64 {
			return maphash.Comparable(seed, state.(registerState))
		},
		DescribeOperation: func(input, _ any) string { return describeRegister(input.(registerCall).registerOp) },
		DescribeState: func(state any) string {
			switch s := state.(registerState); {
			case s.unseen:
				return "a value in doubt"
			case s.found:
				return s.value
			}
			return "absent"
		},
	}
}

// stepRegister is the sequential register. An operation in doubt tells nothing
// about the state that it met.
//
// Writes in doubt whose values nobody saw are no operations of the search, where
// they would multiply the states. All that they can explain is a CAS that found
// another value than the one that was there, so one is taken right then. It need
// not be the one that happened, as long as that many were called in time.
func stepRegister(s registerState, op registerCall) (bool, any) {
	in, out := op.Input, op.Output
	become := func(found bool, value string) registerState {
		return registerState{found: found, value: value, used: s.used}
	}
	switch op.Kind {
	case RegisterRead:
		return !s.unseen && s.found == out.Found && s.value == out.Value, s
	case RegisterWrite:
		return true, become(true, in.Value)
	case RegisterDelete:
		return true, become(false, "")
	}
	matches := s.found && !s.unseen && s.value == in.Expect
	if in.ExpectAbsent {
		matches = !s.found
	}
	switch {
	case op.Outcome == history.OK && out.Swapped && !matches:
		return false, s
	case op.Outcome == history.OK && !out.Swapped && matches:
		return s.used < op.spare, registerState{found: true, unseen: true, used: s.used + 1}
	case matches:
		return true, become(true, in.Value)
	}
	return true, s
}

func describeRegister(op *registerOp) string {
	in, out := op.Input, op.Output
	var what, answer string
	switch op.Kind {
	case RegisterRead:
		what, answer = "read", "absent"
		if out.Found {
			answer = out.Value
		}
	case RegisterWrite:
		what, answer = "write "+in.Value, "ok"
	case RegisterDelete:
		what, answer = "delete", "ok"
	case RegisterCAS:
		expect := in.Expect
		if in.ExpectAbsent {
			expect = "absent"
		}
		what, answer = fmt.Sprintf("cas %s to %s", expect, in.Value), fmt.Sprint(out.Swapped)
	}
	if op.Outcome == history.InDoubt {
		answer = "?"
	}
	return fmt.Sprintf("#%d %s: %s", op.ID, what, answer)
}
