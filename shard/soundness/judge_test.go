package soundness

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/fsm"
)

func TestJudgeNotes(t *testing.T) {
	// A note is written as its index and a letter for its contents.
	notes := func(s string) (list []fsm.Note) {
		for _, w := range strings.Fields(s) {
			var n fsm.Note
			var letter byte
			if _, err := fmt.Sscanf(w, "%d%c", &n.Index, &letter); err != nil {
				t.Fatal(err)
			}
			n.Data = uint64(letter)
			list = append(list, n)
		}
		return list
	}
	for name, c := range map[string]struct {
		voters int
		own    string
		peers  map[string]string
		want   Verdict
	}{
		"no vote, and wrong as another":    {3, "2x", map[string]string{"p": "2x", "q": "2a", "r": "2a"}, Verdict{Index: 2, Decided: true, Wrong: true, Majority: []string{"q", "r"}, Others: []string{"p"}}},
		"no vote, and one is no majority":  {3, "2a", map[string]string{"p": "2a"}, Verdict{Index: 2}},
		"no vote, and one voter":           {1, "2x", map[string]string{"p": "2a"}, Verdict{Index: 2, Decided: true, Wrong: true, Majority: []string{"p"}}},
		"no vote, and all agree":           {3, "2a", map[string]string{"p": "2a", "q": "2a"}, Verdict{Index: 2, Decided: true}},
		"nobody answers":                   {3, "1a 2a", nil, Verdict{}},
		"nothing in common":                {3, "1a 2a", map[string]string{"p": "3a", "q": "4b"}, Verdict{}},
		"all agree":                        {3, "1a 2a", map[string]string{"p": "1a 2a", "q": "1a 2a"}, Verdict{Index: 2, Decided: true}},
		"one agrees, one is behind":        {3, "1a 2a", map[string]string{"p": "2a", "q": "1a"}, Verdict{Index: 2, Decided: true}},
		"this one is wrong":                {3, "1a 2x", map[string]string{"p": "1a 2a", "q": "2a"}, Verdict{Index: 2, Decided: true, Wrong: true, Majority: []string{"p", "q"}}},
		"another one is":                   {3, "1a 2a", map[string]string{"p": "1a 2x", "q": "2a"}, Verdict{Index: 2, Decided: true, Others: []string{"p"}}},
		"one away, the rest differ":        {3, "1a 2a", map[string]string{"p": "1a 2x"}, Verdict{Index: 2, Others: []string{"p"}}},
		"three differ":                     {3, "2a", map[string]string{"p": "2b", "q": "2c"}, Verdict{Index: 2, Others: []string{"p", "q"}}},
		"who decides is behind":            {3, "1x 2x", map[string]string{"p": "1a 2a", "q": "1a"}, Verdict{Index: 1, Decided: true, Wrong: true, Majority: []string{"p", "q"}}},
		"who decides was behind that":      {3, "1a 2x", map[string]string{"p": "1a 2a", "q": "1a"}, Verdict{Index: 2, Others: []string{"p"}}},
		"two nodes":                        {2, "2x", map[string]string{"p": "2a"}, Verdict{Index: 2, Others: []string{"p"}}},
		"five, two of them wrong alike":    {5, "2x", map[string]string{"p": "2x", "q": "2a", "r": "2a", "s": "2a"}, Verdict{Index: 2, Decided: true, Wrong: true, Majority: []string{"q", "r", "s"}, Others: []string{"p"}}},
		"five, three answer and one of it": {5, "2a", map[string]string{"p": "2a", "q": "2b"}, Verdict{Index: 2, Others: []string{"q"}}},
		"five, two answer and agree":       {5, "2a", map[string]string{"p": "2a"}, Verdict{Index: 2}},
	} {
		peers := map[string][]fsm.Note{}
		for id, list := range c.peers {
			peers[id] = notes(list)
		}
		if got := judgeNotes(notes(c.own), peers, c.voters, !strings.HasPrefix(name, "no vote")); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestGraver: what to go by where running notes and audits tell different things.
func TestGraver(t *testing.T) {
	well, another, wrong := Verdict{Index: 64, Decided: true}, Verdict{Index: 64, Decided: true, Others: []string{"p"}}, Verdict{Index: 64, Decided: true, Wrong: true}
	for name, c := range map[string]struct {
		running, audits Verdict
		audit           bool
	}{
		"all is well":                         {well, well, false},
		"no audit":                            {another, Verdict{}, false},
		"the audit alone finds another wrong": {well, another, true},
		"the audit alone finds this one":      {well, wrong, true},
		"this one is worse than another":      {another, wrong, true},
		"both find this one":                  {wrong, wrong, false},
		"the notes find this one":             {wrong, another, false},
	} {
		c.audits.Index = 70
		if got := graver(c.running, c.audits); (got.Index == 70) != c.audit {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestJudgeUnread(t *testing.T) {
	for name, c := range map[string]struct {
		peers, made string // one letter each: same, other, applied, behind; - does not answer
		agreed      bool
		reader      string
		missing     string
	}{
		"nobody else":                {"", "", true, "", ""},
		"all the same":               {"pq", "ss", true, "", ""},
		"one has applied it":         {"pq", "sa", false, "q", ""},
		"one is behind":              {"pq", "sb", false, "", "q"},
		"one does not answer":        {"pq", "-s", false, "", "p"},
		"applied, another is away":   {"pq", "-a", false, "q", ""},
		"one refused other bytes":    {"pq", "so", true, "", ""},
		"all refused different ones": {"pq", "oo", false, "", ""},
		"two nodes":                  {"p", "s", true, "", ""},
		"two nodes that differ":      {"p", "o", false, "", ""},
		"five":                       {"pqrs", "ssso", true, "", ""},
		"five, one behind":           {"pqrs", "sssb", false, "", "s"},
	} {
		made, words := map[string]int{}, map[byte]int{'s': fsm.RefusedSame, 'o': fsm.RefusedOtherwise, 'a': fsm.NotRefused, 'b': fsm.NotReached}
		for i := range c.made {
			if m, ok := words[c.made[i]]; ok {
				made[c.peers[i:i+1]] = m
			}
		}
		agreed, reader, missing := judgeUnread(made, strings.Split(c.peers, "")[:len(c.peers)], true)
		if agreed != c.agreed || reader != c.reader || strings.Join(missing, "") != c.missing {
			t.Errorf("%s: %v %q %v", name, agreed, reader, missing)
		}
	}
	made := map[string]int{"p": fsm.RefusedSame, "q": fsm.RefusedOtherwise}
	if agreed, _, _ := judgeUnread(made, []string{"p", "q"}, false); agreed {
		t.Error("a replica without a vote makes a majority with one of two voters")
	}
}
