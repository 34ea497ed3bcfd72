package command

import (
	"github.com/lockstepkv/lockstep/resp"
	"github.com/lockstepkv/lockstep/store"
)

// Kind is a type of collections as those see it who answer or store a value as a whole,
// whatever its type. The group of its commands registers it.
type Kind struct {
	Type store.Type

	// Words is how many words an element has: 2 for the field and the value of a hash, 2 for
	// the score and the member of a sorted set, otherwise 1.
	Words int

	// Whole answers all that e has: a map of a hash, a set, a list, pairs of members and
	// scores of a sorted set. It copies, since e changes in place.
	Whole func(e *store.Entry) resp.Value

	// Make makes a collection of words, of which there are some for at least one element.
	Make func(ctx *Ctx, words Args) (store.Collection, error)
}

// Register makes the kind known. For groups, while the table is made.
func (t *Table) Register(k *Kind) { t.kinds = append(t.kinds, k) }

// Kind returns the kind of a type, nil for strings and for types without one.
func (t *Table) Kind(of store.Type) *Kind {
	for _, k := range t.kinds {
		if k.Type == of {
			return k
		}
	}
	return nil
}

// KindNamed returns the kind of the type with a name as TYPE answers it, or nil.
func (t *Table) KindNamed(name []byte) *Kind {
	for _, k := range t.kinds {
		if k.Type.String() == string(name) {
			return k
		}
	}
	return nil
}

// WholeSize is ReplySize for what Whole answers of a key: of a string its bytes.
func (c *Ctx) WholeSize(key []byte) (bytes, values int) {
	e := c.Peek(key)
	switch {
	case e == nil:
		return 0, 1
	case e.Type() == store.String:
		return ValueBytes + len(e.Bytes()), 1
	}
	v := e.Collection()
	elements := v.Len() * c.Table.Kind(e.Type()).Words
	return int(v.Size()) + ValueBytes*(1+elements), 1 + elements
}
