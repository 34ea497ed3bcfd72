package rdb

import (
	"encoding/binary"

	"github.com/lockstepkv/lockstep/store/value/list"
)

// The kinds of nodes of typeQuicklist2.
const (
	nodePlain  = 1
	nodePacked = 2
)

// nodeBytes is how long Redis lets a node of a list become; one element may be longer.
const nodeBytes = 8 << 10

// plainFrom is the length from which Redis keeps an element without a listpack around it.
const plainFrom = 1 << 30

// node is a listpack to be written.
type node struct{ elements, bytes int }

// nodesOf cuts a list into listpacks.
func nodesOf(l *list.List) []node {
	var nodes []node
	l.Forward(0, func(e []byte) bool {
		size := int(list.ListpackBytes(e))
		if n := len(nodes); n == 0 || nodes[n-1].bytes+size > nodeBytes || size >= plainFrom {
			nodes = append(nodes, node{bytes: list.EmptyListpack})
		}
		last := &nodes[len(nodes)-1]
		last.elements, last.bytes = last.elements+1, last.bytes+size
		return true
	})
	return nodes
}

// list writes the number of nodes, and each of them.
func (e *encoder) list(l *list.List) {
	nodes := nodesOf(l)
	e.length(uint64(len(nodes)))
	at, left := 0, 0
	l.Forward(0, func(p []byte) bool {
		if len(p) >= plainFrom {
			e.length(nodePlain)
			e.string(p)
			at++
			return e.err == nil
		}
		if left == 0 {
			left = nodes[at].elements
			e.listpackHead(nodes[at])
		}
		e.listpackElement(p)
		if left--; left == 0 {
			e.byte(packEnd)
			at++
		}
		return e.err == nil
	})
}

func (e *encoder) listpackHead(n node) {
	e.length(nodePacked)
	e.length(uint64(n.bytes))
	e.room(listpackHeader)
	e.buf = binary.LittleEndian.AppendUint32(e.buf, uint32(n.bytes))
	e.buf = binary.LittleEndian.AppendUint16(e.buf, uint16(min(n.elements, countUnknown)))
}

// listpackElement writes p as Redis does, with its length behind it.
func (e *encoder) listpackElement(p []byte) {
	e.room(16)
	size := len(p)
	if v, ok := list.Integer(p); ok {
		before := len(e.buf)
		e.buf = appendListpackInt(e.buf, v)
		size = len(e.buf) - before
	} else {
		switch n := len(p); {
		case n < 1<<6:
			e.buf = append(e.buf, 0x80|byte(n))
			size++
		case n < 1<<12:
			e.buf = append(e.buf, 0xe0|byte(n>>8), byte(n))
			size += 2
		default:
			e.buf = binary.LittleEndian.AppendUint32(append(e.buf, 0xf0), uint32(n))
			size += 5
		}
		e.raw(p)
	}
	e.room(5)
	n := int(backLength(uint64(size)))
	for i := n - 1; i >= 0; i-- {
		b := byte(size>>(7*i)) & 0x7f
		if i < n-1 {
			b |= 0x80
		}
		e.buf = append(e.buf, b)
	}
}

func appendListpackInt(buf []byte, v int64) []byte {
	switch {
	case v >= 0 && v < 1<<7:
		return append(buf, byte(v))
	case v >= -1<<12 && v < 1<<12:
		return append(buf, 0xc0|byte(v>>8)&0x1f, byte(v))
	case v == int64(int16(v)):
		return binary.LittleEndian.AppendUint16(append(buf, 0xf1), uint16(v))
	case v == v<<40>>40:
		return append(buf, 0xf2, byte(v), byte(v>>8), byte(v>>16))
	case v == int64(int32(v)):
		return binary.LittleEndian.AppendUint32(append(buf, 0xf3), uint32(v))
	}
	return binary.LittleEndian.AppendUint64(append(buf, 0xf4), uint64(v))
}

// list reads the value of a key of one of the types for lists.
func (f *fileReader) list(t byte, key []byte, large bool) (*list.List, error) {
	l := list.New()
	if large {
		l.Grow()
	}
	if err := f.readList(t, l, key); err != nil {
		return nil, err
	}
	switch {
	case !f.info.Lockstep:
		l.Fit(f.opt.Packed.List())
	case l.Packed() == large:
		return nil, Damaged("key %q is too large for the form that it has", key)
	}
	return l, nil
}

// readList reads a list of one of the types for lists into l.
func (d *decoder) readList(t byte, l *list.List, key []byte) error {
	err := d.elements(t, func(e []byte) error {
		l.PushBack(e)
		return nil
	})
	if err == nil && l.Len() == 0 {
		err = Damaged("key %q is a list without elements", key)
	}
	return err
}

func (d *decoder) elements(t byte, push func([]byte) error) error {
	if t == typeListZiplist {
		return d.block(eachInZiplist, push)
	}
	n, err := d.plainLength()
	for ; n > 0 && err == nil; n-- {
		switch t {
		case typeList:
			err = d.element(push)
		case typeQuicklist:
			err = d.block(eachInZiplist, push)
		case typeQuicklist2:
			err = d.node(push)
		}
	}
	return err
}

func (d *decoder) node(push func([]byte) error) error {
	kind, err := d.plainLength()
	switch {
	case err != nil:
		return err
	case kind == nodePlain:
		return d.element(push)
	case kind == nodePacked:
		return d.block(eachInListpack, push)
	}
	return Damaged("unknown kind %d of a node of a list", kind)
}

func (d *decoder) element(push func([]byte) error) error {
	e, err := d.string(&d.valBuf)
	if err != nil {
		return err
	}
	return push(e)
}

func (d *decoder) block(each func([]byte, func([]byte) error) error, push func([]byte) error) error {
	block, err := d.string(&d.valBuf)
	if err != nil {
		return err
	}
	return each(block, push)
}
