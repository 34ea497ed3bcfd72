package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
)

type (
	setOp  = history.Op[SetInput, SetOutput]
	onceOp = history.Op[OnceInput, OnceOutput]
	txnOp  = history.Op[Txn, Txn]
)

func pick(rng *rand.Rand, keys int) string { return "k" + strconv.Itoa(rng.IntN(keys)) }

func simRegister(rng *rand.Rand, clients, each, keys int) *simulation[RegisterInput, RegisterOutput] {
	s := &simulation[RegisterInput, RegisterOutput]{rng: rng, clients: clients, each: each}
	state := map[string]registerState{}
	written := map[string][]string{}
	s.next = func(client, n int) (string, string, RegisterInput) {
		key, value := pick(rng, keys), fmt.Sprintf("%d.%d", client, n)
		switch rng.IntN(5) {
		case 0, 1:
			written[key] = append(written[key], value)
			return RegisterWrite, key, RegisterInput{Value: value}
		case 2:
			in := RegisterInput{Value: value, ExpectAbsent: len(written[key]) == 0}
			if !in.ExpectAbsent {
				in.Expect = written[key][rng.IntN(len(written[key]))]
			}
			written[key] = append(written[key], value)
			return RegisterCAS, key, in
		}
		return RegisterRead, key, RegisterInput{}
	}
	s.apply = func(op *registerOp, _ time.Duration, keep bool) {
		now := state[op.Key]
		after := now
		switch op.Kind {
		case RegisterRead:
			op.Output = RegisterOutput{Found: now.found, Value: now.value}
		case RegisterWrite:
			after = registerState{found: true, value: op.Input.Value}
		case RegisterCAS:
			op.Output.Swapped = now.found && now.value == op.Input.Expect && !op.Input.ExpectAbsent || !now.found && op.Input.ExpectAbsent
			if op.Output.Swapped {
				after = registerState{found: true, value: op.Input.Value}
			}
		}
		if keep {
			state[op.Key] = after
		}
	}
	s.mutates = func(op *registerOp) bool { return op.Kind == RegisterWrite }
	s.reads = func(op *registerOp) bool { return op.Kind == RegisterRead }
	return s
}

func simSet(rng *rand.Rand, clients, each, keys int) *simulation[SetInput, SetOutput] {
	s := &simulation[SetInput, SetOutput]{rng: rng, clients: clients, each: each}
	state := map[string][]string{}
	s.next = func(client, n int) (string, string, SetInput) {
		if rng.IntN(20) == 0 {
			return SetRead, pick(rng, keys), SetInput{}
		}
		return SetAdd, pick(rng, keys), SetInput{Element: fmt.Sprintf("%d.%d", client, n)}
	}
	s.apply = func(op *setOp, _ time.Duration, keep bool) {
		if op.Kind == SetRead {
			op.Output.Elements = slices.Clone(state[op.Key])
		} else if keep {
			state[op.Key] = append(state[op.Key], op.Input.Element)
		}
	}
	s.mutates = func(op *setOp) bool { return op.Kind == SetAdd }
	s.last = func() (list []setOp) {
		for k := range keys {
			list = append(list, setOp{Meta: history.Meta{Kind: SetRead, Key: "k" + strconv.Itoa(k)}})
		}
		return list
	}
	return s
}

func simOnce(rng *rand.Rand, clients, each, keys int) *simulation[OnceInput, OnceOutput] {
	s := &simulation[OnceInput, OnceOutput]{rng: rng, clients: clients, each: each}
	state, replies := map[string][]string{}, map[string]string{}
	last, attempts := map[int]string{}, map[string]int{}
	s.next = func(client, n int) (string, string, OnceInput) {
		key := "k" + strconv.Itoa(client%keys)
		switch {
		case rng.IntN(20) == 0:
			return OnceRead, key, OnceInput{}
		case rng.IntN(3) > 0 || last[client] == "":
			last[client] = fmt.Sprintf("%d.%d", client, n)
		}
		attempts[last[client]]++
		return OnceAttempt, key, OnceInput{ID: last[client]}
	}
	s.apply = func(op *onceOp, _ time.Duration, keep bool) {
		if op.Kind == OnceRead {
			op.Output.IDs = slices.Clone(state[op.Key])
			return
		}
		id := op.Input.ID
		if reply, done := replies[id]; done && keep {
			op.Output.Reply = reply
			return
		}
		op.Output.Reply = strconv.Itoa(len(state[op.Key]) + 1)
		if keep {
			state[op.Key] = append(state[op.Key], id)
			replies[id] = op.Output.Reply
		}
	}
	// Another attempt of the same id would make up for it.
	s.mutates = func(op *onceOp) bool { return op.Kind == OnceAttempt && attempts[op.Input.ID] == 1 }
	s.last = func() (list []onceOp) {
		for k := range keys {
			list = append(list, onceOp{Meta: history.Meta{Kind: OnceRead, Key: "k" + strconv.Itoa(k)}})
		}
		return list
	}
	return s
}

func simQueue(rng *rand.Rand, clients, each, keys int) *simulation[QueueInput, QueueOutput] {
	s := &simulation[QueueInput, QueueOutput]{rng: rng, clients: clients, each: each}
	state := map[string][]string{}
	s.next = func(client, n int) (string, string, QueueInput) {
		if rng.IntN(2) == 0 {
			return QueuePop, pick(rng, keys), QueueInput{}
		}
		return QueuePush, pick(rng, keys), QueueInput{Element: fmt.Sprintf("%d.%d", client, n)}
	}
	s.apply = func(op *queueOp, _ time.Duration, keep bool) {
		q := state[op.Key]
		switch {
		case op.Kind == QueuePush && keep:
			state[op.Key] = append(q, op.Input.Element)
		case op.Kind == QueuePush:
		case len(q) == 0:
			op.Output.Empty = true
		default:
			op.Output.Element = q[0]
			if keep {
				state[op.Key] = q[1:]
			}
		}
	}
	s.mutates = func(op *queueOp) bool { return op.Kind == QueuePush || !op.Output.Empty }
	s.last = func() (list []queueOp) {
		for k := range keys {
			for range clients * each {
				list = append(list, queueOp{Meta: history.Meta{Kind: QueuePop, Key: "k" + strconv.Itoa(k)}})
			}
		}
		return list
	}
	return s
}

func simCounter(rng *rand.Rand, clients, each, keys int) *simulation[CounterInput, CounterOutput] {
	s := &simulation[CounterInput, CounterOutput]{rng: rng, clients: clients, each: each}
	state := map[string]int64{}
	s.next = func(_, _ int) (string, string, CounterInput) {
		if rng.IntN(3) == 0 {
			return CounterRead, pick(rng, keys), CounterInput{}
		}
		return CounterAdd, pick(rng, keys), CounterInput{Delta: int64(rng.IntN(3) + 1)}
	}
	s.apply = func(op *counterOp, _ time.Duration, keep bool) {
		v := state[op.Key] + op.Input.Delta
		op.Output.Value, op.Output.HasValue = v, op.Kind == CounterAdd
		if keep {
			state[op.Key] = v
		}
	}
	s.mutates = func(op *counterOp) bool { return op.Kind == CounterAdd }
	s.last = func() (list []counterOp) {
		for k := range keys {
			list = append(list, counterOp{Meta: history.Meta{Kind: CounterRead, Key: "k" + strconv.Itoa(k)}})
		}
		return list
	}
	return s
}

func simTxn(rng *rand.Rand, clients, each, keys int) *simulation[Txn, Txn] {
	s := &simulation[Txn, Txn]{rng: rng, clients: clients, each: each}
	state := map[string][]string{}
	// Keys change as the run goes on, so that lists stay short.
	const period = 20
	s.next = func(client, n int) (string, string, Txn) {
		var t Txn
		for i := range rng.IntN(4) + 1 {
			m := MicroOp{Key: fmt.Sprintf("k%d.%d", n/period, rng.IntN(keys)), Append: rng.IntN(2) == 0}
			if m.Append {
				m.Word = fmt.Sprintf("%d.%d.%d", client, n, i)
			}
			t = append(t, m)
		}
		return TxnKind, "", t
	}
	s.apply = func(op *txnOp, _ time.Duration, keep bool) {
		op.Output = slices.Clone(op.Input)
		local := map[string][]string{}
		for i := range op.Output {
			m := &op.Output[i]
			if _, known := local[m.Key]; !known {
				local[m.Key] = slices.Clip(state[m.Key])
			}
			if m.Append {
				local[m.Key] = append(local[m.Key], m.Word)
			} else {
				m.List = slices.Clone(local[m.Key])
			}
		}
		for key, list := range local {
			if keep {
				state[key] = list
			}
		}
	}
	s.mutates = func(op *txnOp) bool {
		return slices.ContainsFunc(op.Input, func(m MicroOp) bool { return m.Append })
	}
	s.last = func() (list []txnOp) {
		for period := range each/period + 1 {
			for k := range keys {
				t := Txn{{Key: fmt.Sprintf("k%d.%d", period, k)}}
				list = append(list, txnOp{Meta: history.Meta{Kind: TxnKind}, Input: t})
			}
		}
		return list
	}
	return s
}

// simKeys is plain keys: with expiries, deletes, and stale reads as asked for.
type simKeys struct {
	ttl, deletes, evict bool
	stale               bool
}

func (o simKeys) sim(rng *rand.Rand, clients, each, keys int) *simulation[KeyInput, KeyOutput] {
	s := &simulation[KeyInput, KeyOutput]{rng: rng, clients: clients, each: each}
	type version struct {
		at     time.Duration
		out    KeyOutput
		expire time.Duration
	}
	state := map[string][]version{}
	s.next = func(client, op int) (string, string, KeyInput) {
		key := pick(rng, keys)
		switch n := rng.IntN(20); {
		case n == 0 && o.deletes:
			return KeyDelete, key, KeyInput{}
		case n < 7:
			in := KeyInput{Value: fmt.Sprintf("%d.%d", client, op)}
			if o.ttl && rng.IntN(2) == 0 {
				in.TTL = s.upTo(5000)
			}
			return KeySet, key, in
		}
		return KeyGet, key, KeyInput{Stale: o.stale && rng.IntN(2) == 0}
	}
	s.apply = func(op *keyOp, at time.Duration, keep bool) {
		list := state[op.Key]
		v := version{at: at, out: KeyOutput{Found: op.Kind == KeySet, Value: op.Input.Value}, expire: never}
		if op.Kind == KeyGet {
			age := time.Duration(0)
			if op.Input.Stale {
				age = s.upTo(2000)
				op.Output.Age = age
			}
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].at <= at-age {
					if list[i].expire > at-age {
						op.Output.Found, op.Output.Value = list[i].out.Found, list[i].out.Value
					}
					break
				}
			}
			return
		}
		if op.Input.TTL > 0 {
			v.expire = at + op.Input.TTL
			if o.evict {
				v.expire = at + s.upTo(3000)
			}
		}
		if keep {
			state[op.Key] = append(list, v)
		}
	}
	s.mutates = func(op *keyOp) bool { return op.Kind == KeySet }
	s.reads = func(op *keyOp) bool { return op.Kind == KeyGet && !op.Input.Stale }
	return s
}
