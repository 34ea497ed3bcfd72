package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// boltCheck reads the page structure of a bbolt file before bbolt does. bbolt takes pages on trust: a
// damaged one makes it crash the process (partly in goroutines of its own, where nobody can recover),
// lose keys, or hand out a page as free that is in use. Only the meta pages have checksums, and of those
// bbolt silently takes the older one when the newer is damaged, which would undo an acknowledged write;
// a meta page fits one disk sector, so a crash does not leave half of one.
type boltCheck struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64          // high-water mark: pages beyond it are unused
	used     map[uint64]bool // pages seen so far
	at       int64           // offset of the page being looked at, for errors

	bucket string                                    // name of the bucket being looked at
	visit  func(bucket string, key []byte, at int64) // sees every key and the offset of its value; may be nil
}

// Layout of bbolt pages (its package common): a header of id, flags, count, overflow; then elements.
const (
	boltPageHeaderLen = 16
	boltMetaLen       = 56
	boltMagic         = 0xED0CDAED
	boltElementLen    = 16
	boltNoFreelist    = 1<<64 - 1

	boltBranchPage   = 0x01
	boltLeafPage     = 0x02
	boltFreelistPage = 0x10
	boltBucketLeaf   = 0x01
	boltMaxDepth     = 64
)

var bolt = binary.NativeEndian

// checkBoltPages returns the offset of the damage and what it is.
func checkBoltPages(r io.ReaderAt, size int64) (offset int64, err error) {
	c := &boltCheck{r: r, used: map[uint64]bool{0: true, 1: true}}
	return c.run(size)
}

// boltKeys returns the keys of a bucket. r must be sound.
func boltKeys(r io.ReaderAt, size int64, bucket string) ([][]byte, error) {
	var keys [][]byte
	c := &boltCheck{r: r, used: map[uint64]bool{0: true, 1: true}}
	c.visit = func(b string, k []byte, _ int64) {
		if b == bucket {
			keys = append(keys, bytes.Clone(k))
		}
	}
	_, err := c.run(size)
	return keys, err
}

// locateBolt returns the offset at which the value of key lies in the file, or -1.
func locateBolt(r io.ReaderAt, size int64, bucket string, key []byte) int64 {
	found := int64(-1)
	c := &boltCheck{r: r, used: map[uint64]bool{0: true, 1: true}}
	c.visit = func(b string, k []byte, at int64) {
		if b == bucket && bytes.Equal(k, key) {
			found = at
		}
	}
	// An error ends the walk; whatever was found before it is there all the same.
	_, _ = c.run(size)
	return found
}

func (c *boltCheck) run(size int64) (int64, error) {
	newest, err := c.meta(0)
	if err != nil {
		return 0, err
	}
	c.pageSize = int64(bolt.Uint32(newest[8:]))
	other, err := c.meta(c.pageSize)
	if err != nil {
		return c.pageSize, err
	}
	const root, freelist, pages, txid = 16, 32, 40, 48
	if bolt.Uint64(other[txid:]) > bolt.Uint64(newest[txid:]) {
		newest = other
	}
	c.pages = bolt.Uint64(newest[pages:])
	if c.pages > uint64(size/c.pageSize) {
		return size, fmt.Errorf("file of %d bytes should have %d pages of %d", size, c.pages, c.pageSize)
	}
	if err := c.tree(bolt.Uint64(newest[root:]), nil, nil, 0); err != nil {
		return c.at, err
	}
	return c.at, c.freelist(bolt.Uint64(newest[freelist:]))
}

func (c *boltCheck) meta(offset int64) ([]byte, error) {
	c.at = offset
	var b [boltPageHeaderLen + boltMetaLen + 8]byte
	if _, err := c.r.ReadAt(b[:], offset); err != nil {
		return nil, fmt.Errorf("read meta page: %w", err)
	}
	meta := b[boltPageHeaderLen:]
	sum := fnv.New64a()
	sum.Write(meta[:boltMetaLen])
	if bolt.Uint32(meta) != boltMagic || sum.Sum64() != bolt.Uint64(meta[boltMetaLen:]) {
		return nil, errors.New("meta page checksum mismatch")
	}
	return meta, nil
}

// page reads a page with its overflow and marks it used.
func (c *boltCheck) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.pages {
		return nil, fmt.Errorf("reference to page %d of %d", id, c.pages)
	}
	c.at = int64(id) * c.pageSize
	var h [boltPageHeaderLen]byte
	if _, err := c.r.ReadAt(h[:], c.at); err != nil {
		return nil, err
	}
	n := 1 + uint64(bolt.Uint32(h[12:]))
	if bolt.Uint64(h[:]) != id || n > c.pages-id {
		return nil, fmt.Errorf("header of page %d damaged", id)
	}
	for p := id; p < id+n; p++ {
		if c.used[p] {
			return nil, fmt.Errorf("page %d used twice", p)
		}
		c.used[p] = true
	}
	b := make([]byte, int64(n)*c.pageSize)
	_, err := c.r.ReadAt(b, c.at)
	return b, err
}

// tree checks the page and everything below it; keys must lie in [low, high), nil meaning no bound.
func (c *boltCheck) tree(id uint64, low, high []byte, depth int) error {
	if depth > boltMaxDepth {
		return errors.New("tree too deep")
	}
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if bolt.Uint16(b[8:]) == boltBranchPage {
		return c.branch(b, low, high, depth)
	}
	return c.leaf(b, c.at, low, high, depth)
}

// boltElement returns element i's key and value; pos is relative to the element.
func boltElement(b []byte, i int, pos, keyLen, valLen uint32) (key, val []byte, err error) {
	start := int64(boltPageHeaderLen+i*boltElementLen) + int64(pos)
	end := start + int64(keyLen) + int64(valLen)
	if end > int64(len(b)) || int64(pos) < boltElementLen {
		return nil, nil, fmt.Errorf("element %d lies outside its page", i)
	}
	return b[start : start+int64(keyLen)], b[start+int64(keyLen) : end], nil
}

func boltCount(b []byte) (int, error) {
	n := int(bolt.Uint16(b[10:]))
	if boltPageHeaderLen+n*boltElementLen > len(b) {
		return 0, errors.New("more elements than fit")
	}
	return n, nil
}

func inOrder(key, last, low, high []byte) error {
	switch {
	case last != nil && bytes.Compare(key, last) <= 0,
		low != nil && bytes.Compare(key, low) < 0,
		high != nil && bytes.Compare(key, high) >= 0:
		return errors.New("keys out of order")
	}
	return nil
}

func (c *boltCheck) branch(b, low, high []byte, depth int) error {
	n, err := boltCount(b)
	if err == nil && n == 0 {
		err = errors.New("branch page without elements")
	}
	if err != nil {
		return err
	}
	keys, ids := make([][]byte, n), make([]uint64, n)
	var last []byte
	for i := range n {
		e := b[boltPageHeaderLen+i*boltElementLen:]
		if keys[i], _, err = boltElement(b, i, bolt.Uint32(e), bolt.Uint32(e[4:]), 0); err != nil {
			return err
		}
		if err := inOrder(keys[i], last, low, high); err != nil {
			return err
		}
		ids[i], last = bolt.Uint64(e[8:]), keys[i]
	}
	for i, id := range ids {
		next := high
		if i+1 < n {
			next = keys[i+1]
		}
		if err := c.tree(id, keys[i], next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a page of keys and values that begins at offset base of the file.
func (c *boltCheck) leaf(b []byte, base int64, low, high []byte, depth int) error {
	n, err := boltCount(b)
	if err != nil {
		return err
	}
	if bolt.Uint16(b[8:]) != boltLeafPage {
		return fmt.Errorf("page with unknown flags %#x", bolt.Uint16(b[8:]))
	}
	var last []byte
	for i := range n {
		e := b[boltPageHeaderLen+i*boltElementLen:]
		key, val, err := boltElement(b, i, bolt.Uint32(e[4:]), bolt.Uint32(e[8:]), bolt.Uint32(e[12:]))
		if err == nil {
			err = inOrder(key, last, low, high)
		}
		if err != nil {
			return err
		}
		at := base + int64(boltPageHeaderLen+i*boltElementLen) + int64(bolt.Uint32(e[4:])) + int64(len(key))
		if bolt.Uint32(e)&boltBucketLeaf != 0 {
			c.bucket = string(key)
			if err := c.subtree(val, at, depth+1); err != nil {
				return err
			}
		} else if c.visit != nil {
			c.visit(c.bucket, key, at)
		}
		last = key
	}
	return nil
}

// subtree checks a bucket's own tree; a small one lies inline behind its header. val, the bucket's value,
// lies at offset base.
func (c *boltCheck) subtree(val []byte, base int64, depth int) error {
	const headerLen = 16
	if len(val) < headerLen {
		return errors.New("bucket header too short")
	}
	if root := bolt.Uint64(val); root != 0 {
		at := c.at
		err := c.tree(root, nil, nil, depth)
		if err == nil {
			c.at = at
		}
		return err
	}
	if inline := val[headerLen:]; len(inline) >= boltPageHeaderLen {
		return c.leaf(inline, base+headerLen, nil, nil, depth)
	}
	return errors.New("inline bucket too short")
}

// freelist checks that no page in use is listed as free.
func (c *boltCheck) freelist(id uint64) error {
	if id == boltNoFreelist {
		return nil
	}
	b, err := c.page(id)
	if err != nil {
		return err
	}
	ids, n := b[boltPageHeaderLen:], uint64(bolt.Uint16(b[10:]))
	if n == 0xFFFF { // a longer list has its count in the first element
		n, ids = bolt.Uint64(ids), ids[8:]
	}
	if bolt.Uint16(b[8:]) != boltFreelistPage || n > uint64(len(ids)/8) {
		return errors.New("freelist page damaged")
	}
	for i := range n {
		free := bolt.Uint64(ids[8*i:])
		if free >= c.pages || c.used[free] {
			return fmt.Errorf("page %d is listed as free", free)
		}
		c.used[free] = true
	}
	return nil
}
