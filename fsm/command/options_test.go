package command

import (
	"fmt"
	"strings"
	"testing"
)

// wish is what the options of this test are read into.
type wish struct {
	a, b, flag, loose, other bool
	text                     string
	count                    int
	life                     Lifetime
}

func wishOptions() *Options[wish] {
	return NewOptions(
		Choice("which",
			Word("A", func(w *wish) { w.a = true }),
			Word("B", func(w *wish) { w.b = true }),
			Value("TEXT", String("text"), func(w *wish, v []byte) error {
				w.text = string(v)
				return nil
			}).Once(),
		),
		Word("FLAG", func(w *wish) { w.flag = true }),
		Count(50, func(w *wish) *int { return &w.count }),
		Choice("life", EX(func(w *wish) *Lifetime { return &w.life }), PXAT(func(w *wish) *Lifetime { return &w.life })).Once(),
		Choice("loose", Word("LOOSE", func(w *wish) { w.loose = true }), Word("OTHER", func(w *wish) { w.other = true })).Together(),
	)
}

func words(line string) Args {
	var args Args
	for _, w := range strings.Fields(line) {
		args = append(args, []byte(w))
	}
	return args
}

func TestOptions(t *testing.T) {
	options := wishOptions()
	life := func(arg string, unit int64, absolute bool) wish {
		return wish{life: Lifetime{[]byte(arg), unit, absolute}}
	}
	for line, want := range map[string]any{
		"":                   wish{},
		"a":                  wish{a: true},
		"A A":                wish{a: true},
		"A B":                ErrSyntax,
		"A FLAG A":           wish{a: true, flag: true},
		"TEXT A flag":        wish{text: "A", flag: true},
		"TEXT x A":           ErrSyntax,
		"TEXT x TEXT y":      ErrSyntax,
		"TEXT":               ErrSyntax,
		"FLAG TEXT":          ErrSyntax,
		"COUNT 7":            wish{count: 7},
		"COUNT 7 COUNT 8":    wish{count: 8},
		"COUNT 700":          wish{count: 50},
		"COUNT 0":            ErrSyntax,
		"COUNT x NONSENSE":   ErrNotInteger,
		"NONSENSE COUNT x":   ErrSyntax,
		"EX 5":               life("5", SecondMillis, false),
		"PXAT 5":             life("5", 1, true),
		"EX 5 EX 5":          ErrSyntax,
		"EX 5 PXAT 5":        ErrSyntax,
		"LOOSE OTHER LOOSE":  wish{loose: true, other: true},
		"LOOSE B FLAG OTHER": wish{loose: true, other: true, b: true, flag: true},
	} {
		var got wish
		err := options.Parse(words(line), &got)
		if show := fmt.Sprint(got); err == nil && show != fmt.Sprint(want) || err != nil && err != want {
			t.Errorf("%q: %s, %v; want %v", line, show, err, want)
		}
	}
	options.Unknown(func(word []byte) error { return ErrArity(string(word)) })
	if err := options.Parse(words("FLAG what"), new(wish)); err == nil || err.Error() != ErrArity("what").Error() {
		t.Errorf("unknown word: %v", err)
	}
}

func TestOptionsDoNotAllocate(t *testing.T) {
	options, op, line := wishOptions(), new(wish), words("FLAG EX 5 COUNT 3 A OTHER")
	if n := testing.AllocsPerRun(100, func() {
		if err := options.Parse(line, op); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSyntaxOfArguments(t *testing.T) {
	for want, args := range map[string][]Arg{
		"":                               {},
		"key [key ...]":                  {Many(Key("key"))},
		"[member [member ...]]":          {Opt(Many(String("member")))},
		"key value [key value ...]":      {Many(Block("pair", Key("key"), String("value")))},
		"key unix-seconds":               {Key("key"), UnixTime("unix-time-seconds").As("unix-seconds")},
		"ON | OFF":                       {OneOf("mode", Token("ON"), Token("OFF"))},
		"[ID id [id ...]]":               {Opt(Block("ids", Many(Integer("id"))).After("ID"))},
		"command [argument ...]":         {String("command"), Opt(Many(String("arg")).Line("argument ..."))},
		"[a [AUTH user password] [B] b]": {Opt(Block("all", Integer("a"), Opt(Block("auth", String("user"), String("password")).After("AUTH")), Opt(Token("B")), Double("b")))},
		"cursor [PREFIX x | ALL] [GET]":  {Pattern("cursor"), Opt(OneOf("which", String("x").After("PREFIX"), Token("ALL"))), Opt(Token("GET"))},
		"k [A | B | TEXT text] [FLAG] [COUNT count] [EX seconds | PXAT unix-milliseconds] [LOOSE | OTHER]": wishOptions().After(Key("k")),
	} {
		if got := (&Spec{Args: args}).Syntax(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
