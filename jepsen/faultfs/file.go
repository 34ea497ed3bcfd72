package faultfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

const (
	pageBytes   = 4096
	sectorBytes = 512
)

// file is the content of a regular file. Pages that are not there are zeros.
type file struct {
	pages map[int64][]byte
	size  int64
	// undo has, of each page that was written since the last fsync, what the disk
	// has: nil for zeros. lost is the same for pages that an fsync failed on.
	undo, lost map[int64][]byte
	durable    int64 // size on the disk
}

func newFile() *file {
	return &file{pages: map[int64][]byte{}, undo: map[int64][]byte{}, lost: map[int64][]byte{}}
}

// own notes that page i is about to be changed, and returns it.
func (f *file) own(i int64) []byte {
	page := f.pages[i]
	if _, dirty := f.undo[i]; !dirty {
		old, gone := f.lost[i]
		if gone {
			delete(f.lost, i)
		} else if page != nil {
			old = slices.Clone(page)
		}
		f.undo[i] = old
	}
	if page == nil {
		page = make([]byte, pageBytes)
		f.pages[i] = page
	}
	return page
}

func (f *file) write(data []byte, off int64) {
	f.size = max(f.size, off+int64(len(data)))
	for len(data) > 0 {
		at := off % pageBytes
		n := copy(f.own(off / pageBytes)[at:], data)
		data, off = data[n:], off+int64(n)
	}
}

// read fills as much of dest as the file has.
func (f *file) read(dest []byte, off int64) int {
	if off >= f.size {
		return 0
	}
	dest = dest[:min(int64(len(dest)), f.size-off)]
	for done := 0; done < len(dest); {
		at := (off + int64(done)) % pageBytes
		n := min(len(dest)-done, int(pageBytes-at))
		if page := f.pages[(off+int64(done))/pageBytes]; page != nil {
			copy(dest[done:done+n], page[at:])
		} else {
			clear(dest[done : done+n])
		}
		done += n
	}
	return len(dest)
}

// truncate sets the size; what is cut off reads as zeros should it come back.
func (f *file) truncate(size int64) {
	if size < f.size {
		for i := range f.pages {
			if (i+1)*pageBytes > size {
				page := f.own(i)
				clear(page[max(size-i*pageBytes, 0):])
			}
		}
	}
	f.size = size
}

// sync brings the file to the disk, but for what an earlier fsync failed on.
func (f *file) sync() {
	clear(f.undo)
	f.durable = f.size
}

// failSync is an fsync that fails: what it was for will not be written any more.
func (f *file) failSync() (pages int) {
	pages = len(f.undo)
	for i, old := range f.undo {
		if _, already := f.lost[i]; !already {
			f.lost[i] = old
		}
	}
	clear(f.undo)
	return pages
}

// powerOff makes the file what the disk has of it. It returns how many pages went
// back to what they were, and how many of those only in part.
func (f *file) powerOff(rng *rand.Rand) (lost, torn int) {
	for _, i := range slices.Sorted(maps.Keys(f.undo)) {
		switch rng.IntN(3) {
		case 0: // it was written in time
		case 1:
			f.restore(i, f.undo[i], pageBytes)
			lost++
		default:
			f.restore(i, f.undo[i], sectorBytes*(1+rng.IntN(pageBytes/sectorBytes-1)))
			lost, torn = lost+1, torn+1
		}
	}
	for _, i := range slices.Sorted(maps.Keys(f.lost)) {
		f.restore(i, f.lost[i], pageBytes)
		lost++
	}
	clear(f.undo)
	clear(f.lost)
	if f.size != f.durable && rng.IntN(2) == 0 {
		f.truncate(f.durable)
		clear(f.undo)
	}
	f.durable = f.size
	return lost, torn
}

// restore gives the last n bytes of page i back what the disk has.
func (f *file) restore(i int64, old []byte, n int) {
	page := f.pages[i]
	if old == nil {
		old = make([]byte, pageBytes)
	}
	copy(page[pageBytes-n:], old[pageBytes-n:])
}
