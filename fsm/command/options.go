package command

// Options are the arguments of a command that begin with words of their own, in any
// order. They are declared once, and are what the parser goes by as well as what
// COMMAND DOCS and docs/commands.md say. T is what they are read into.
//
// As in Redis an option may come again, and the last counts, and of a Choice one may
// come alone. Anything else is a syntax error.
type Options[T any] struct {
	Args    []Arg
	list    []Option[T]
	unknown func(word []byte) error
}

// Option is one of Options, or a Choice of several.
type Option[T any] struct {
	arg    Arg
	of     []Option[T]                 // of a Choice
	set    func(op *T, v []byte) error // v is nil for a bare word
	value  bool                        // a value follows the word
	once   bool                        // it must not come again
	free   bool                        // it excludes nothing
	choice uint8                       // which Choice it is of; 0: none
	nth    uint8                       // its place among all options, from 1 on
}

// maxChoices is how many options and Choices one command can have.
const maxChoices = 32

// NewOptions declares options.
func NewOptions[T any](options ...Option[T]) *Options[T] {
	if len(options) > maxChoices {
		panic("command: too many options") // when the program starts
	}
	o := &Options[T]{unknown: func([]byte) error { return ErrSyntax }}
	choice := uint8(0)
	for _, x := range options {
		x.arg.Optional = true
		o.Args = append(o.Args, x.arg)
		members := x.of
		if members == nil {
			members = []Option[T]{x}
		}
		choice++
		for _, m := range members {
			m.nth = uint8(len(o.list) + 1)
			if !m.free {
				m.choice = choice
			}
			o.list = append(o.list, m)
		}
	}
	return o
}

// Word is a word by itself.
func Word[T any](word string, set func(op *T)) Option[T] {
	return Option[T]{arg: Token(word), set: func(op *T, _ []byte) error {
		set(op)
		return nil
	}}
}

// Value is a word with a value after it.
func Value[T any](word string, arg Arg, set func(op *T, value []byte) error) Option[T] {
	return Option[T]{arg: arg.After(word), value: true, set: set}
}

// Number is a Value that is an integer.
func Number[T any](word string, arg Arg, set func(op *T, n int64) error) Option[T] {
	return Value(word, arg, func(op *T, value []byte) error {
		n, err := IntArg(value)
		if err != nil {
			return err
		}
		return set(op, n)
	})
}

// Count is a Number above 0, of which more than most counts as that.
func Count[T any](most int, to func(op *T) *int) Option[T] {
	return Number("COUNT", Integer("count"), func(op *T, n int64) error {
		if n < 1 {
			return ErrSyntax
		}
		*to(op) = int(min(n, int64(most)))
		return nil
	})
}

// Choice is several options that exclude each other.
func Choice[T any](name string, of ...Option[T]) Option[T] {
	args := make([]Arg, len(of))
	for i := range of {
		args[i] = of[i].arg
	}
	return Option[T]{arg: OneOf(name, args...), of: of}
}

// Together lets the options of a Choice come together after all: the command judges.
func (x Option[T]) Together() Option[T] {
	for i := range x.of {
		x.of[i].free = true
	}
	return x
}

// Once forbids that an option, or any of a Choice, comes again.
func (x Option[T]) Once() Option[T] {
	x.once = true
	for i := range x.of {
		x.of[i].once = true
	}
	return x
}

// Unknown says what is answered to a word that is none of the options.
func (o *Options[T]) Unknown(err func(word []byte) error) *Options[T] {
	o.unknown = err
	return o
}

// After puts the options behind other arguments.
func (o *Options[T]) After(args ...Arg) []Arg { return append(args[:len(args):len(args)], o.Args...) }

// Parse reads words into op.
func (o *Options[T]) Parse(words Args, op *T) error {
	var chosen [maxChoices + 1]uint8
	for i := 0; i < len(words); i++ {
		x := o.find(words[i])
		if x == nil {
			return o.unknown(words[i])
		}
		if seen := &chosen[x.choice]; x.choice > 0 {
			if *seen != 0 && (*seen != x.nth || x.once) {
				return ErrSyntax
			}
			*seen = x.nth
		}
		var value []byte
		if x.value {
			if i++; i == len(words) {
				return ErrSyntax
			}
			value = words[i]
		}
		if err := x.set(op, value); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options[T]) find(word []byte) *Option[T] {
	for i := range o.list {
		if IsWord(word, o.list[i].arg.Token) {
			return &o.list[i]
		}
	}
	return nil
}
