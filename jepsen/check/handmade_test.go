package check

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// expect checks a verdict: want is the anomaly that must be found, "" for a
// valid history, or "unknown".
func expect(t *testing.T, v Verdict, want string) {
	t.Helper()
	switch want {
	case "":
		if !v.Valid {
			t.Errorf("want valid: %s", v)
		}
	case "unknown":
		if !v.Unknown || v.Valid || v.Reason == "" {
			t.Errorf("want unknown: %s", v)
		}
	default:
		if v.Valid || v.Unknown || !v.Has(want) {
			t.Errorf("want %s: %s", want, v)
		}
	}
}

func regRead(client, call, end int, value string) registerOp {
	return at(client, RegisterRead, "k", call, end, RegisterInput{}, RegisterOutput{Found: value != "", Value: value})
}

func regWrite(client, call, end int, value string) registerOp {
	return at(client, RegisterWrite, "k", call, end, RegisterInput{Value: value}, RegisterOutput{})
}

func regCAS(client, call, end int, expect, value string, swapped bool) registerOp {
	in := RegisterInput{Expect: expect, Value: value, ExpectAbsent: expect == ""}
	return at(client, RegisterCAS, "k", call, end, in, RegisterOutput{Swapped: swapped})
}

func regDelete(client, call, end int) registerOp {
	return at(client, RegisterDelete, "k", call, end, RegisterInput{}, RegisterOutput{})
}

func TestRegisterByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []registerOp
		want string
	}{
		{"sequential", in(regRead(0, 0, 1, ""), regWrite(0, 2, 3, "a"), regRead(0, 4, 5, "a")), ""},
		{"concurrent write seen or not", in(regWrite(0, 0, 1, "a"), regWrite(0, 2, 9, "b"), regRead(1, 3, 4, "a"), regRead(1, 5, 6, "b")), ""},
		{"touching intervals are concurrent", in(regWrite(0, 0, 2, "a"), regRead(1, 2, 3, ""), regRead(1, 4, 5, "a")), ""},
		{"stale read", in(regWrite(0, 0, 1, "a"), regWrite(0, 2, 3, "b"), regRead(1, 4, 5, "a")), AnomalyStaleRead},
		{"lost write", in(regWrite(0, 0, 1, "a"), regRead(1, 2, 3, "")), AnomalyNotLinearizable},
		{"new-old inversion", in(regWrite(0, 0, 1, "a"), regWrite(0, 2, 99, "b"), regRead(1, 3, 4, "b"), regRead(2, 5, 6, "a")), AnomalyStaleRead},
		{"lost update by cas", in(regWrite(0, 0, 1, "a"), regCAS(1, 2, 5, "a", "b", true), regCAS(2, 2, 5, "a", "c", true)), AnomalyNotLinearizable},
		{"cas of absent", in(regCAS(1, 2, 5, "", "b", true), regCAS(2, 2, 6, "", "c", false), regRead(1, 7, 8, "b")), ""},
		{"cas fails although it matches", in(regWrite(0, 0, 1, "a"), regCAS(1, 2, 3, "a", "b", false)), AnomalyNotLinearizable},
		{"in doubt, late", in(regWrite(0, 0, 1, "a"), regWrite(1, 2, -1, "b"), regRead(2, 9, 10, "a"), regRead(2, 20, 21, "b")), ""},
		{"in doubt, taken back", in(regWrite(0, 0, 1, "a"), regWrite(1, 2, -1, "b"), regRead(2, 9, 10, "b"), regRead(2, 20, 21, "a")), AnomalyStaleRead},
		{"in doubt, unseen, explains a cas", in(regWrite(0, 0, 1, "a"), regWrite(1, 2, -1, "b"), regRead(2, 3, 4, "a"), regCAS(2, 9, 10, "a", "c", false)), ""},
		{"cas in doubt happened", in(regWrite(0, 0, 1, "a"), regCAS(1, 2, -1, "a", "b", false), regRead(2, 9, 10, "b")), ""},
		{"cas in doubt cannot have happened", in(regWrite(0, 0, 1, "a"), regCAS(1, 2, -1, "x", "b", false), regRead(2, 9, 10, "b")), AnomalyNotLinearizable},
		{"failed write seen", in(failed(regWrite(0, 0, 1, "a")), regRead(1, 2, 3, "a")), AnomalyFailedVisible},
		{"phantom", in(regRead(1, 2, 3, "a")), AnomalyPhantom},
		{"from the future", in(regRead(1, 2, 3, "a"), regWrite(1, 4, 5, "a")), AnomalyFuture},
		{"in doubt, from the future", in(regRead(1, 2, 3, "a"), regWrite(1, 4, -1, "a")), AnomalyFuture},
		{"in doubt, from the future, with a delete", in(regRead(1, 2, 3, "a"), regWrite(1, 4, -1, "a"), regDelete(2, 5, 6)), AnomalyNotLinearizable},
		{"two failures of a cas by one unseen write", in(regWrite(0, 0, 1, "a"), regWrite(1, 2, -1, "b"), regRead(2, 3, 4, "a"),
			regCAS(2, 5, 6, "a", "c", false), regWrite(2, 7, 8, "d"), regCAS(2, 9, 10, "d", "e", false)), AnomalyNotLinearizable},
		{"delete", in(regWrite(0, 0, 1, "a"), regDelete(0, 2, 3), regRead(1, 4, 5, ""), regWrite(0, 6, 7, "a"), regRead(1, 8, 9, "a")), ""},
		{"delete in doubt", in(regWrite(0, 0, 1, "a"), regDelete(0, 2, -1), regRead(1, 4, 5, "a"), regRead(1, 6, 7, "")), ""},
		{"delete undone", in(regWrite(0, 0, 1, "a"), regDelete(0, 2, 3), regRead(1, 4, 5, "a")), AnomalyNotLinearizable},
		{"nothing read", in(regWrite(0, 0, 1, "a")), "unknown"},
		{"empty", nil, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Register(c.ops, RegisterOptions{}), c.want) })
	}
}

func TestRegisterShowsThePicture(t *testing.T) {
	var page []byte
	ops := in(regWrite(0, 0, 1, "a"), regWrite(0, 2, 3, "b"), regRead(1, 4, 5, "a"))
	v := Register(ops, RegisterOptions{Visualize: func(_ string, html []byte) { page = html }})
	if !strings.Contains(string(page), "<html") || !strings.Contains(string(page), "write b") {
		t.Errorf("no picture: %.200s", page)
	}
	if !strings.Contains(v.String(), "does not reach #2") {
		t.Errorf("the text does not name the read: %s", v)
	}
}

func TestRegisterTimeoutIsUnknown(t *testing.T) {
	ops := simRegister(newRand(1), 5, 50, 1).run()
	expect(t, Register(ops, RegisterOptions{Timeout: 1}), "unknown")
}

func TestMalformedHistoriesAreUnknown(t *testing.T) {
	twice := in(regWrite(0, 0, 5, "a"), regRead(0, 1, 2, "a"))
	expect(t, Register(twice, RegisterOptions{}), "unknown")
	other := regRead(0, 0, 1, "")
	other.Kind = "increment"
	expect(t, Register(in(other), RegisterOptions{}), "unknown")
}

func add(client, call, end int, element string) setOp {
	return at(client, SetAdd, "k", call, end, SetInput{Element: element}, SetOutput{})
}

func elements(client, call, end int, list ...string) setOp {
	return at(client, SetRead, "k", call, end, SetInput{}, SetOutput{Elements: list})
}

func TestSetByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []setOp
		want string
	}{
		{"good", in(add(0, 0, 1, "a"), add(1, 0, 5, "b"), elements(2, 2, 3, "a"), elements(2, 6, 7, "b", "a")), ""},
		{"in doubt seen", in(add(2, 0, 1, "z"), add(0, 0, -1, "a"), elements(1, 2, 3, "z"), elements(1, 4, 5, "a", "z")), ""},
		{"in doubt not seen", in(add(2, 0, 1, "z"), add(0, 0, -1, "a"), elements(1, 2, 3, "z")), ""},
		{"nothing acknowledged", in(add(0, 0, -1, "a"), elements(1, 2, 3)), "unknown"},
		{"lost", in(add(0, 0, 1, "a"), elements(1, 2, 3), elements(1, 4, 5)), AnomalyLost},
		{"seen, then lost", in(add(0, 0, -1, "a"), elements(1, 2, 3, "a"), elements(1, 4, 5)), AnomalyLost},
		{"stale, then visible", in(add(0, 0, 1, "a"), elements(1, 2, 3), elements(1, 4, 5, "a")), AnomalyStaleRead},
		{"duplicate", in(add(0, 0, 1, "a"), elements(1, 2, 3, "a", "a")), AnomalyDuplicate},
		{"phantom", in(add(0, 0, 1, "a"), elements(1, 2, 3, "a", "b")), AnomalyPhantom},
		{"failed", in(failed(add(0, 0, 1, "a")), elements(1, 2, 3, "a")), AnomalyFailedVisible},
		{"future", in(elements(1, 2, 3, "a"), add(0, 4, 5, "a"), elements(1, 6, 7, "a")), AnomalyFuture},
		{"no final read", in(elements(1, 0, 1), add(0, 0, 2, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Set(c.ops), c.want) })
	}
}

func try(client, call, end int, id, reply string) onceOp {
	return at(client, OnceAttempt, "k", call, end, OnceInput{ID: id}, OnceOutput{Reply: reply})
}

func ids(client, call, end int, list ...string) onceOp {
	return at(client, OnceRead, "k", call, end, OnceInput{}, OnceOutput{IDs: list})
}

func TestOnceByHand(t *testing.T) {
	retried := []onceOp{try(9, 0, -1, "r", ""), try(9, 1, 2, "r", "1")}
	for _, c := range []struct {
		name string
		ops  []onceOp
		want string
	}{
		{"retry", in(append(retried, ids(1, 4, 5, "r"))...), ""},
		{"retry of a failed one", in(failed(try(0, 0, 1, "a", "")), try(0, 2, 3, "a", "1"), ids(1, 4, 5, "a")), "unknown"},
		{"retry after an answer", in(try(0, 0, 1, "a", "1"), try(0, 2, 3, "a", "1"), ids(1, 4, 5, "a")), ""},
		{"nothing acknowledged", in(try(0, 0, -1, "a", ""), try(0, 2, -1, "a", ""), ids(1, 4, 5)), "unknown"},
		{"twice", in(append(retried, ids(1, 4, 5, "r", "r"))...), AnomalyDuplicate},
		{"not at all", in(append(retried, ids(1, 4, 5))...), AnomalyLost},
		{"other reply", in(append(retried, try(9, 3, 4, "r", "2"), ids(1, 5, 6, "r"))...), AnomalyUnequalReplies},
		{"all failed", in(append(retried, failed(try(0, 0, 1, "a", "")), ids(1, 4, 5, "r", "a"))...), AnomalyFailedVisible},
		{"no retry", in(try(0, 0, 1, "a", "1"), ids(1, 2, 3, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Once(c.ops), c.want) })
	}
}

func push(client, call, end int, element string) queueOp {
	return at(client, QueuePush, "k", call, end, QueueInput{Element: element}, QueueOutput{})
}

func pop(client, call, end int, element string) queueOp {
	return at(client, QueuePop, "k", call, end, QueueInput{}, QueueOutput{Element: element, Empty: element == ""})
}

func TestQueueByHand(t *testing.T) {
	end := pop(9, 90, 91, "")
	for _, c := range []struct {
		name string
		ops  []queueOp
		want string
	}{
		{"good", in(push(0, 0, 1, "a"), push(0, 2, 3, "b"), pop(1, 4, 5, "a"), pop(1, 6, 7, "b"), pop(1, 8, 9, ""), end), ""},
		{"at the same time", in(push(0, 0, 5, "a"), push(1, 0, 5, "b"), pop(2, 1, 2, "b"), pop(2, 6, 7, "a"), end), ""},
		{"nothing, at the same time", in(push(0, 0, 5, "a"), pop(1, 1, 2, ""), pop(1, 6, 7, "a"), end), ""},
		{"pop in doubt", in(push(0, 0, 1, "a"), pop(1, 2, -1, ""), end), ""},
		{"push in doubt", in(push(0, 0, 1, "a"), push(1, 2, -1, "b"), pop(2, 4, 5, "a"), pop(2, 6, 7, "b"), end), ""},
		{"nothing acknowledged", in(push(1, 0, -1, "b"), end), "unknown"},
		{"not emptied", in(push(0, 0, 1, "a"), pop(2, 4, 5, "a")), "unknown"},
		{"twice", in(push(0, 0, 1, "a"), pop(1, 2, 3, "a"), pop(2, 2, 3, "a"), end), AnomalyDuplicate},
		{"lost", in(push(0, 0, 1, "a"), end), AnomalyLost},
		{"lost, with a later pop in doubt", in(push(0, 0, 1, "a"), push(0, 2, 3, "b"), pop(1, 4, 5, "b"), pop(1, 6, -1, ""), end), AnomalyLost},
		{"lost, with one pop in doubt for two", in(push(0, 0, 1, "a"), push(0, 2, 3, "b"), pop(1, 4, -1, ""), end), AnomalyLost},
		{"phantom", in(push(0, 0, 1, "a"), pop(1, 2, 3, "a"), pop(1, 4, 5, "x"), end), AnomalyPhantom},
		{"failed", in(push(0, 0, 1, "a"), failed(push(0, 2, 3, "b")), pop(1, 4, 5, "a"), pop(1, 6, 7, "b"), end), AnomalyFailedVisible},
		{"future", in(pop(1, 0, 1, "a"), push(0, 2, 3, "a"), end), AnomalyFuture},
		{"out of order", in(push(0, 0, 1, "a"), push(0, 2, 3, "b"), pop(1, 4, 5, "b"), pop(1, 6, 7, "a"), end), AnomalyOrder},
		{"nothing, though it was there", in(push(0, 0, 1, "a"), pop(1, 2, 3, ""), pop(1, 4, 5, "a"), end), AnomalyStaleRead},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Queue(c.ops), c.want) })
	}
}

func incr(client, call, end int, delta, value int64) counterOp {
	return at(client, CounterAdd, "k", call, end, CounterInput{Delta: delta}, CounterOutput{Value: value, HasValue: value > 0})
}

func count(client, call, end int, value int64) counterOp {
	return at(client, CounterRead, "k", call, end, CounterInput{}, CounterOutput{Value: value})
}

func TestCounterByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []counterOp
		want string
	}{
		{"good", in(incr(0, 0, 1, 2, 2), incr(1, 2, 9, 1, 0), count(2, 3, 4, 2), count(2, 5, 6, 3)), ""},
		{"in doubt", in(incr(0, 0, -1, 5, 0), count(1, 1, 2, 0), count(1, 3, 4, 5), incr(2, 5, 6, 1, 6)), ""},
		{"nothing acknowledged", in(incr(0, 0, -1, 5, 0), count(1, 1, 2, 0)), "unknown"},
		{"in doubt taken back", in(incr(0, 0, -1, 5, 0), count(1, 1, 2, 5), count(1, 3, 4, 0)), AnomalyBelow},
		{"lost", in(incr(0, 0, 1, 1, 0), count(1, 2, 3, 0)), AnomalyBelow},
		{"lost after a read that saw one in doubt", in(incr(0, 0, -1, 5, 0), count(1, 1, 2, 5), incr(2, 3, 4, 1, 0), count(1, 5, 6, 5)), AnomalyBelow},
		{"failed visible", in(failed(incr(0, 0, 1, 1, 0)), count(1, 2, 3, 1)), AnomalyAbove},
		{"too early", in(count(1, 0, 1, 1), incr(0, 2, 3, 1, 0)), AnomalyAbove},
		{"lost update", in(incr(0, 0, 5, 1, 1), incr(1, 0, 5, 1, 1), count(2, 2, 3, 1)), AnomalyOverlap},
		{"overlapping ranges", in(incr(0, 0, 5, 3, 3), incr(1, 0, 5, 3, 5)), AnomalyOverlap},
		{"torn", in(incr(0, 0, 5, 3, 3), incr(1, 0, 5, 1, 0), count(2, 0, 5, 1)), AnomalyOverlap},
		{"applied twice", in(incr(0, 0, 1, 1, 2)), AnomalyAbove},
		{"negative", in(incr(0, 0, 1, -1, 0)), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Counter(c.ops), c.want) })
	}
}

func set(client, call, end int, value string, ttl time.Duration) keyOp {
	return at(client, KeySet, "k", call, end, KeyInput{Value: value, TTL: ttl}, KeyOutput{})
}

func get(client, call, end int, value string) keyOp {
	return at(client, KeyGet, "k", call, end, KeyInput{}, KeyOutput{Found: value != "", Value: value})
}

func staleGet(call, end int, value string, age time.Duration) keyOp {
	op := get(7, call, end, value)
	op.Input.Stale, op.Output.Age = true, age
	return op
}

func del(client, call, end int) keyOp {
	return at(client, KeyDelete, "k", call, end, KeyInput{}, KeyOutput{})
}

func TestSessionByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []keyOp
		want string
	}{
		{"good", in(set(0, 0, 1, "a", 0), get(0, 2, 3, "a"), get(1, 2, 3, "a")), ""},
		{"own write missed", in(set(0, 0, 1, "a", 0), get(0, 2, 3, "")), AnomalyReadYourWrites},
		{"own write gone behind", in(set(0, 0, 1, "a", 0), set(0, 2, 3, "b", 0), get(0, 4, 5, "a")), AnomalyReadYourWrites},
		{"back in time", in(set(0, 0, 1, "a", 0), set(0, 2, 30, "b", 0), get(1, 4, 5, "b"), get(1, 6, 7, "a"), get(0, 31, 32, "b")), AnomalyMonotonicReads},
		{"others' write missed", in(set(0, 0, 1, "a", 0), get(0, 2, 3, "a"), get(1, 2, 3, "")), AnomalyStaleRead},
		{"old one in doubt comes late", in(set(0, 0, -1, "a", 0), set(0, 2, 3, "b", 0), get(0, 4, 5, "b"), get(0, 6, 7, "a")), ""},
		{"failed", in(set(1, 0, 1, "a", 0), failed(set(0, 2, 3, "b", 0)), get(0, 4, 5, "b")), AnomalyFailedVisible},
		{"no own write", in(set(0, 0, 1, "a", 0), get(1, 2, 3, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Session(c.ops), c.want) })
	}
}

func TestStaleByHand(t *testing.T) {
	two := []keyOp{set(0, 0, 10, "a", 0), set(0, 20, 30, "b", 0)}
	atIndex := func(op keyOp, index uint64) keyOp { op.Output.Index = index; return op }
	limited := func(op keyOp, limit time.Duration) keyOp { op.Input.MaxStaleness = limit; return op }
	for _, c := range []struct {
		name string
		ops  []keyOp
		want string
	}{
		{"fresh", in(append(two, staleGet(50, 51, "b", 0))...), ""},
		{"old and says so", in(append(two, staleGet(50, 51, "a", 25*ms))...), ""},
		{"old and lies", in(append(two, staleGet(50, 51, "a", 10*ms))...), AnomalyOlderThanSaid},
		{"within the slack", in(append(two, staleGet(50, 51, "a", 16*ms))...), ""},
		{"a little older than said", in(append(two, staleGet(81, 82, "a", 45*ms))...), AnomalyOlderThanSaid},
		{"seen before by others", in(append(two, get(1, 25, 26, "b"), staleGet(50, 51, "a", 15*ms))...), AnomalyOlderThanSaid},
		{"older than allowed", in(append(two, limited(staleGet(50, 51, "a", 40*ms), 20*ms))...), AnomalyOlderThanAllowed},
		{"linearizable read is stale", in(append(two, get(1, 50, 51, "a"), staleGet(50, 51, "b", 0))...), AnomalyStaleRead},
		{"one index, two values", in(append(two, atIndex(staleGet(50, 51, "a", 40*ms), 7), atIndex(staleGet(52, 53, "b", 0), 7))...), AnomalyIndexDisagreement},
		{"nothing acknowledged", in(set(0, 0, -1, "a", 0), staleGet(50, 51, "", 0)), "unknown"},
		{"no stale read", in(append(two, get(1, 50, 51, "b"))...), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Stale(c.ops, StaleOptions{Slack: 5 * ms}), c.want) })
	}
	// 45 ms on a clock that is a tenth slow may be 50.
	slow := in(append(two, staleGet(80, 81, "a", 45*ms))...)
	expect(t, Stale(slow, StaleOptions{Slack: 2 * ms, Drift: 0.1}), "")
	slow = in(append(two, staleGet(90, 91, "a", 45*ms))...)
	expect(t, Stale(slow, StaleOptions{Slack: 2 * ms, Drift: 0.1}), AnomalyOlderThanSaid)
}

// telling is another key whose time is certain, in both directions.
func telling() []keyOp {
	ops := []keyOp{set(9, 0, 2, "x", 20*ms), get(9, 5, 6, "x"), get(9, 90, 91, "")}
	for i := range ops {
		ops[i].Key = "other"
	}
	return ops
}

func TestExpiryByHand(t *testing.T) {
	gone := in(set(0, 0, 2, "a", 10*ms), get(1, 3, 4, "a"), get(1, 12, 13, ""))
	for _, c := range []struct {
		name string
		ops  []keyOp
		want string
	}{
		{"expires", gone, ""},
		{"written again", in(append(gone, set(0, 14, 15, "b", 0), get(1, 16, 17, "b"))...), ""},
		{"resurrected", in(append(gone, get(2, 14, 15, "a"))...), AnomalyResurrected},
		{"gone early", in(set(0, 0, 2, "a", 30*ms), get(1, 12, 13, "")), AnomalyGoneEarly},
		{"early within the clocks' bound", in(set(0, 0, 2, "a", 16*ms), get(1, 12, 13, "")), ""},
		{"no expiry and gone", in(set(0, 0, 2, "a", 0), get(1, 12, 13, "")), AnomalyVanished},
		{"the write before it had expired", in(set(0, 0, 2, "z", 1*ms), set(0, 3, 4, "a", 50*ms), get(1, 12, 13, "")), AnomalyGoneEarly},
		{"a shorter one in doubt", in(set(0, 0, 2, "a", 50*ms), set(1, 3, -1, "b", 2*ms), get(1, 22, 23, ""), get(2, 3, 4, "a")), ""},
		{"late", in(set(0, 0, 2, "a", 10*ms), get(1, 90, 91, "a"), get(1, 92, 93, "")), AnomalyExpiredLate},
		{"deleted in doubt", in(append(gone, set(0, 14, 15, "b", 0), del(1, 16, -1), get(2, 18, 19, ""))...), ""},
		{"only deleted", in(set(0, 0, 2, "a", 0), del(1, 3, 4), get(1, 5, 6, "")), "unknown"},
		{"never certainly there", in(telling()[0], telling()[2]), "unknown"},
		{"never certainly gone", in(telling()[0], telling()[1], get(9, 26, 27, "")), "unknown"},
		{"nothing expired", in(set(0, 0, 2, "a", 50*ms), get(1, 3, 4, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want != "unknown" {
				c.ops = in(append(slices.Clone(c.ops), telling()...)...)
			}
			expect(t, Expiry(c.ops, ExpiryOptions{ClockBound: 5 * ms, LateBound: 20 * ms}), c.want)
		})
	}
}

func TestEvictionByHand(t *testing.T) {
	gone := in(set(0, 0, 2, "a", 10*time.Second), get(1, 12, 13, ""))
	for _, c := range []struct {
		name string
		ops  []keyOp
		want string
	}{
		{"volatile key evicted", gone, ""},
		{"other key evicted", in(append(gone, set(0, 14, 15, "b", 0), get(1, 16, 17, ""))...), AnomalyVanished},
		{"seen by others, then evicted", in(append(gone, set(0, 14, -1, "b", 0), get(1, 16, 17, "b"), get(1, 18, 19, ""))...), AnomalyVanished},
		{"comes back", in(append(gone, get(1, 16, 17, "a"))...), AnomalyResurrected},
		{"nothing evicted", in(set(0, 0, 2, "a", 10*ms), get(1, 12, 13, "a")), "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Eviction(c.ops), c.want) })
	}
}

func TestReplicasByHand(t *testing.T) {
	want := map[int][]string{0: {"n1", "n2"}}
	for _, c := range []struct {
		name string
		list []Digest
		want string
	}{
		{"agree", []Digest{{"n1", 0, 5, 2, "x"}, {"n2", 0, 5, 2, "x"}, {"n1", 0, 6, 3, "y"}}, ""},
		{"differ", []Digest{{"n1", 0, 5, 2, "x"}, {"n2", 0, 5, 2, "y"}}, AnomalyDivergence},
		{"differ in keys", []Digest{{"n1", 0, 5, 2, "x"}, {"n2", 0, 5, 1, "x"}}, AnomalyDivergence},
		{"no common index", []Digest{{"n1", 0, 5, 2, "x"}, {"n2", 0, 6, 2, "x"}}, "unknown"},
		{"missing", []Digest{{"n1", 0, 5, 2, "x"}}, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, Replicas(c.list, want), c.want) })
	}
}
