package rdb

import "github.com/lockstepkv/lockstep/store/value/hash"

// hash writes the number of fields, and each with its value.
func (e *encoder) hash(h *hash.Hash) {
	e.length(uint64(h.Len()))
	h.Each(func(field, value []byte) bool {
		e.string(field)
		e.string(value)
		return e.err == nil
	})
}

// hash reads the value of a key of one of the types for hashes.
func (f *fileReader) hash(t byte, key []byte, large bool) (*hash.Hash, error) {
	h := hashReader{h: hash.New(), key: key}
	switch {
	case large:
		h.h.Grow()
	case f.info.Lockstep:
		h.lim = hash.MaxLimits()
	default:
		h.lim = f.opt.Packed.Hash()
	}
	if err := f.readHash(t, &h); err != nil {
		return nil, err
	}
	if f.info.Lockstep && h.h.Packed() == large {
		return nil, Damaged("key %q is too large for the form that it has", key)
	}
	return h.h, nil
}

// readHash reads a hash of one of the types for hashes into h.
func (d *decoder) readHash(t byte, h *hashReader) error {
	err := d.fields(t, h)
	switch {
	case err != nil:
		return err
	case h.pending:
		return Damaged("the last field of key %q has no value", h.key)
	case h.h.Len() == 0:
		return Damaged("key %q is a hash without fields", h.key)
	}
	return nil
}

func (d *decoder) fields(t byte, h *hashReader) error {
	if t == typeHash {
		n, err := d.plainLength()
		for ; n > 0 && err == nil; n-- {
			err = d.fieldAndValue(h)
		}
		return err
	}
	block, err := d.string(&d.valBuf)
	switch {
	case err != nil:
		return err
	case t == typeHashListpack:
		return eachInListpack(block, h.take)
	default:
		return eachInZiplist(block, h.take)
	}
}

func (d *decoder) fieldAndValue(h *hashReader) error {
	field, err := d.held(&d.nameBuf)
	if err != nil {
		return err
	}
	value, err := d.string(&d.valBuf)
	if err != nil {
		return err
	}
	return h.set(field, value)
}

// hashReader fills a hash with names and values that come in turn.
type hashReader struct {
	h       *hash.Hash
	lim     hash.Limits
	key     []byte
	name    []byte // waits for its value
	pending bool
}

func (r *hashReader) take(p []byte) error {
	if r.pending = !r.pending; r.pending {
		r.name = append(r.name[:0], p...)
		return nil
	}
	return r.set(r.name, p)
}

func (r *hashReader) set(field, value []byte) error {
	if added, _ := r.h.Set(field, value, r.lim); !added {
		return Damaged("field %q of key %q comes twice", field[:min(len(field), 256)], r.key)
	}
	return nil
}
