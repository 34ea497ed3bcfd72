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
}

func registerModel() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return registerState{} },
		Step: func(state, input, _ any) (bool, any) {
			return stepRegister(state.(registerState), input.(*registerOp))
		},
		Hash: func(state any) uint64 {
			return maphash.Comparable(seed, state.(registerState))
		},
		DescribeOperation: func(input, _ any) string { return describeRegister(input.(*registerOp)) },
		DescribeState: func(state any) string {
			if s := state.(registerState); s.found {
				return s.value
			}
			return "absent"
		},
	}
}

// stepRegister is the sequential register. An operation in doubt tells nothing
// about the state that it met.
func stepRegister(s registerState, op *registerOp) (bool, any) {
	in, out := op.Input, op.Output
	switch op.Kind {
	case RegisterRead:
		return s.found == out.Found && (!s.found || s.value == out.Value), s
	case RegisterWrite:
		return true, registerState{true, in.Value}
	case RegisterDelete:
		return true, registerState{}
	}
	matches := s.found && s.value == in.Expect
	if in.ExpectAbsent {
		matches = !s.found
	}
	if op.Outcome == history.OK && matches != out.Swapped {
		return false, s
	}
	if matches {
		return true, registerState{true, in.Value}
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
