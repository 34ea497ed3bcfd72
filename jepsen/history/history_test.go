package history

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type input struct {
	Value string `json:"value"`
}

type output struct {
	List []string `json:"list,omitempty"`
}

// ticker is a clock that moves by one with each look.
func ticker() func() time.Duration {
	var now atomic.Int64
	return func() time.Duration { return time.Duration(now.Add(1)) }
}

func TestRecorderKeepsOutcomes(t *testing.T) {
	r := NewRecorder[input, output](ticker())
	a := r.Invoke(0, "n1", "read", "k", input{"a"})
	b := r.Invoke(1, "n2", "write", "k", input{"b"})
	c := r.Invoke(2, "n3", "write", "k", input{"c"})
	r.Invoke(3, "n1", "write", "k", input{"d"})
	b.Fail(errors.New("refused"))
	a.OK(output{[]string{"x"}})
	c.InDoubt(errors.New("timeout"))
	want := []Meta{
		{0, 0, "n1", "read", "k", 1, 6, OK, ""},
		{1, 1, "n2", "write", "k", 2, 5, Fail, "refused"},
		{2, 2, "n3", "write", "k", 3, Forever, InDoubt, "timeout"},
		{3, 3, "n1", "write", "k", 4, Forever, InDoubt, "still running at the end"},
	}
	ops := r.History()
	for i, op := range ops {
		if op.Meta != want[i] {
			t.Errorf("got %+v, want %+v", op.Meta, want[i])
		}
	}
	if ops[0].Output.List[0] != "x" || r.Len() != 4 || Validate(ops) != nil {
		t.Errorf("%+v, %v", ops[0], Validate(ops))
	}
}

func TestRecorderRefusesASecondReturn(t *testing.T) {
	r := NewRecorder[input, output](ticker())
	p := r.Invoke(0, "", "read", "k", input{})
	p.OK(output{})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	p.Fail(nil)
}

func TestRecorderIsConcurrent(t *testing.T) {
	r := NewRecorder[input, output](ticker())
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			for range 500 {
				r.Invoke(client, "", "read", "k", input{}).OK(output{})
			}
		})
	}
	clients.Wait()
	ops := r.History()
	if err := Validate(ops); err != nil || len(ops) != 4000 {
		t.Fatalf("%d operations: %v", len(ops), err)
	}
	if !slices.IsSortedFunc(ops, func(a, b Op[input, output]) int { return int(a.Call - b.Call) }) {
		t.Error("the history is not in the order of calls")
	}
}

func genOps(t *rapid.T) []Op[input, output] {
	var ops []Op[input, output]
	at := time.Duration(0)
	for i := range rapid.IntRange(0, 20).Draw(t, "n") {
		op := Op[input, output]{Input: input{rapid.String().Draw(t, "in")}}
		op.ID, op.Client, op.Kind, op.Key = i, i%3, "k", rapid.String().Draw(t, "key")
		op.Call = at
		at += time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "took"))
		op.Return, op.Outcome = at, rapid.SampledFrom([]Outcome{OK, Fail, InDoubt}).Draw(t, "outcome")
		switch op.Outcome {
		case OK:
			op.Output.List = rapid.SliceOfN(rapid.StringMatching(`[a-z]*`), 1, 3).Draw(t, "out")
		case InDoubt:
			op.Return = Forever
			op.Error = "timeout"
		}
		ops = append(ops, op)
	}
	return ops
}

func TestJSONLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := genOps(t)
		var file bytes.Buffer
		if err := Encode(&file, "test", ops); err != nil {
			t.Fatal(err)
		}
		if name, err := Workload(bytes.NewReader(file.Bytes())); err != nil || name != "test" {
			t.Fatalf("workload %q, %v", name, err)
		}
		got, err := Decode[input, output](&file, "test")
		if err != nil || len(got) != len(ops) {
			t.Fatalf("%d operations, %v", len(got), err)
		}
		for i := range got {
			if got[i].Meta != ops[i].Meta || got[i].Input != ops[i].Input || !slices.Equal(got[i].Output.List, ops[i].Output.List) {
				t.Fatalf("got %+v, want %+v", got[i], ops[i])
			}
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	const head = `{"format":"lockstep-history","version":1,"workload":"test","ops":1}` + "\n"
	const op = `{"id":0,"client":0,"kind":"r","call_ns":1,"return_ns":2,"outcome":"ok","input":{}}` + "\n"
	for name, text := range map[string]string{
		"empty":            "",
		"no history":       "{}\n",
		"other version":    strings.Replace(head, `"version":1`, `"version":2`, 1) + op,
		"other workload":   strings.Replace(head, "test", "prod", 1) + op,
		"cut short":        head,
		"torn line":        head + op[:20],
		"too many":         head + op + op,
		"unknown outcome":  head + strings.Replace(op, `"ok"`, `"maybe"`, 1),
		"no outcome":       head + strings.Replace(op, `"outcome":"ok",`, ``, 1),
		"returns too soon": head + strings.Replace(op, `"return_ns":2`, `"return_ns":0`, 1),
		"ok without end":   head + strings.Replace(op, `"return_ns":2,`, ``, 1),
		"wrong id":         head + strings.Replace(op, `"id":0`, `"id":3`, 1),
	} {
		if _, err := Decode[input, output](strings.NewReader(text), "test"); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode[input, output](strings.NewReader(head+op), "test"); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"format":"lockstep-history","version":1,"workload":"test","ops":1}` + "\n" +
		`{"id":0,"client":0,"kind":"r","call_ns":1,"return_ns":2,"outcome":"ok","input":{"value":"x"},"output":{"list":["a"]}}` + "\n"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ops, err := Decode[input, output](bytes.NewReader(text), "test")
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := Encode(&again, "test", ops); err != nil {
			t.Fatal(err)
		}
		if _, err := Decode[input, output](&again, "test"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClientsAreSequential(t *testing.T) {
	op := func(id int, call, end time.Duration, outcome Outcome) Op[input, output] {
		return Op[input, output]{Meta: Meta{ID: id, Call: call, Return: end, Outcome: outcome}}
	}
	if err := Validate([]Op[input, output]{op(0, 0, 5, OK), op(1, 4, 6, OK)}); !errors.Is(err, ErrMalformed) {
		t.Errorf("two at once: %v", err)
	}
	if err := Validate([]Op[input, output]{op(0, 0, Forever, InDoubt), op(1, 4, 6, OK)}); err != nil {
		t.Errorf("after one in doubt: %v", err)
	}
}
