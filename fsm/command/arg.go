package command

import (
	"strings"

	"github.com/lockstepkv/lockstep/resp"
)

// Arg is a node of a command's argument tree, in the form of COMMAND DOCS.
type Arg struct {
	Name     string
	Type     string // Redis's word: "key", "string", "oneof", "block", ...
	Token    string // the word that comes before it, or that it is
	Optional bool
	Multiple bool  // it may come several times
	Repeated bool  // of Multiple: its word comes each time
	Args     []Arg // of a block, in order; of a oneof, any of these

	shown string // how docs call it, where not by its name
	line  string // all of its line in docs, where that cannot be told from the tree
}

const (
	typeKey     = "key"
	typeBlock   = "block"
	typeOneOf   = "oneof"
	typePure    = "pure-token"
	typeString  = "string"
	typeInteger = "integer"
)

// Key is the name of a key.
func Key(name string) Arg { return Arg{Name: name, Type: typeKey} }

// String is any bytes.
func String(name string) Arg { return Arg{Name: name, Type: typeString} }

// Integer is a whole number.
func Integer(name string) Arg { return Arg{Name: name, Type: typeInteger} }

// Double is a number.
func Double(name string) Arg { return Arg{Name: name, Type: "double"} }

// Pattern is a glob.
func Pattern(name string) Arg { return Arg{Name: name, Type: "pattern"} }

// UnixTime is a Unix time.
func UnixTime(name string) Arg { return Arg{Name: name, Type: "unix-time"} }

// Token is a word by itself.
func Token(word string) Arg { return Arg{Name: strings.ToLower(word), Type: typePure, Token: word} }

// Block is several arguments in a row.
func Block(name string, args ...Arg) Arg { return Arg{Name: name, Type: typeBlock, Args: args} }

// OneOf is one of several arguments.
func OneOf(name string, args ...Arg) Arg { return Arg{Name: name, Type: typeOneOf, Args: args} }

// Opt is a that may be left out.
func Opt(a Arg) Arg {
	a.Optional = true
	return a
}

// Many is a once or several times.
func Many(a Arg) Arg {
	a.Multiple = true
	return a
}

// ManyWords is a, with its word, once or several times.
func ManyWords(a Arg) Arg {
	a.Multiple, a.Repeated = true, true
	return a
}

// After is a behind a word.
func (a Arg) After(word string) Arg {
	a.Token = word
	return a
}

// As has docs call a by other words than COMMAND DOCS.
func (a Arg) As(text string) Arg {
	a.shown = text
	return a
}

// Line has docs write a, but for its word and brackets, as text.
func (a Arg) Line(text string) Arg {
	a.line = text
	return a
}

// Syntax is the line of a command's arguments as people read it: "key value [NX | XX]".
func (sp *Spec) Syntax() string { return syntaxOf(sp.Args, " ") }

func syntaxOf(args []Arg, between string) string {
	words := make([]string, len(args))
	for i := range args {
		words[i] = args[i].syntax()
	}
	return strings.Join(words, between)
}

func (a *Arg) syntax() string {
	text := a.plain()
	worded := a.Token != "" && a.Type != typePure
	if worded && a.Repeated {
		text, worded = a.Token+" "+text, false
	}
	if a.Multiple && a.line == "" {
		text += " [" + text + " ...]"
	}
	if worded {
		text = a.Token + " " + text
	}
	if a.Optional {
		text = "[" + text + "]"
	}
	return text
}

// plain is a without its word and its brackets.
func (a *Arg) plain() string {
	switch {
	case a.line != "":
		return a.line
	case a.shown != "":
		return a.shown
	case a.Type == typePure:
		return a.Token
	case a.Type == typeBlock:
		return syntaxOf(a.Args, " ")
	case a.Type == typeOneOf:
		return syntaxOf(a.Args, " | ")
	}
	return a.Name
}

// Docs describes the arguments as COMMAND DOCS does.
func (sp *Spec) Docs() resp.Value {
	d := docs{specs: len(sp.Keys)}
	return d.of(sp.Args)
}

// docs counts the keys: each has a key specification, or the last is that of all others.
type docs struct{ keys, specs int }

func (d *docs) of(args []Arg) resp.Value {
	out := make([]resp.Value, len(args))
	for i := range args {
		out[i] = d.describe(&args[i])
	}
	return resp.Array(out...)
}

func (d *docs) describe(a *Arg) resp.Value {
	out := []resp.Value{resp.BulkString("name"), resp.BulkString(a.Name), resp.BulkString("type"), resp.BulkString(a.Type)}
	if a.Type != typeBlock && a.Type != typeOneOf && a.Type != typePure {
		text := a.Name
		if a.shown != "" {
			text = a.shown
		}
		out = append(out, resp.BulkString("display_text"), resp.BulkString(text))
	}
	if a.Type == typeKey {
		out = append(out, resp.BulkString("key_spec_index"), resp.Int(int64(max(min(d.keys, d.specs-1), 0))))
		d.keys++
	}
	if a.Token != "" {
		out = append(out, resp.BulkString("token"), resp.BulkString(a.Token))
	}
	var flags []resp.Value
	if a.Optional {
		flags = append(flags, resp.Simple("optional"))
	}
	if a.Multiple {
		flags = append(flags, resp.Simple("multiple"))
	}
	if a.Repeated {
		flags = append(flags, resp.Simple("multiple_token"))
	}
	if len(flags) > 0 {
		out = append(out, resp.BulkString("flags"), resp.Array(flags...))
	}
	if len(a.Args) > 0 {
		out = append(out, resp.BulkString("arguments"), d.of(a.Args))
	}
	return resp.Map(out...)
}
