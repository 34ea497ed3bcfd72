package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lockstepkv/lockstep/internal/disk"
)

// The watermark is the highest index known durable, kept beside the log in a mapped file so that noting
// it after each write costs a store to memory: exact after a crash of the process, at most
// watermarkSyncEvery old after a power failure. A log that ends below it has lost acknowledged entries.
//
// File: 8 bytes magic, then one word: index in the low 48 bits, a checksum of it in the high 16. A word
// is written in one aligned store, so it is never half new.
const (
	watermarkFile  = "watermark"
	watermarkMagic = "LSWMARK1"
	watermarkSize  = 4096
	watermarkBits  = 48
)

type watermark struct {
	path   string
	mem    []byte
	word   *atomic.Uint64
	synced uint64 // last value passed to sync; syncing goroutine only
}

// openWatermark maps the file in dir, creating it when missing. An unreadable one counts as zero: it is
// a second opinion, the log's own checksums remain. err != nil only if the file cannot be used at all.
func openWatermark(dir string) (w *watermark, usable bool, err error) {
	path := filepath.Join(dir, watermarkFile)
	_, usable, err = readWatermark(path)
	if err != nil {
		return nil, false, err
	}
	if !usable {
		if err := createWatermark(path); err != nil {
			return nil, false, fmt.Errorf("create %s: %w", path, err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, watermarkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, false, fmt.Errorf("map %s: %w", path, err)
	}
	word := (*atomic.Uint64)(unsafe.Pointer(&mem[len(watermarkMagic)]))
	return &watermark{path: path, mem: mem, word: word}, usable, nil
}

// readWatermark returns the index in the file at path; usable is false when there is no valid one.
func readWatermark(path string) (index uint64, usable bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if len(b) != watermarkSize || string(b[:len(watermarkMagic)]) != watermarkMagic {
		return 0, false, nil
	}
	index, usable = unpackWatermark(binary.NativeEndian.Uint64(b[len(watermarkMagic):]))
	return index, usable, nil
}

func createWatermark(path string) error {
	b := make([]byte, watermarkSize)
	copy(b, watermarkMagic)
	binary.NativeEndian.PutUint64(b[len(watermarkMagic):], packWatermark(0))
	return disk.WriteFile(path, b, 0o600)
}

func packWatermark(index uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], index)
	return index | uint64(crc32.Checksum(b[:6], castagnoli)&0xffff)<<watermarkBits
}

func unpackWatermark(word uint64) (uint64, bool) {
	index := word & (1<<watermarkBits - 1)
	return index, packWatermark(index) == word
}

// set notes index; the kernel writes it out when it likes, or sync does.
func (w *watermark) set(index uint64) { w.word.Store(packWatermark(index)) }

// sync makes the current value durable.
func (w *watermark) sync() error {
	if err := unix.Msync(w.mem, unix.MS_SYNC); err != nil {
		return fmt.Errorf("sync %s: %w", w.path, err)
	}
	return nil
}

// syncIfMoved is sync for a caller that comes by regularly.
func (w *watermark) syncIfMoved() error {
	now := w.word.Load()
	if now == w.synced {
		return nil
	}
	w.synced = now
	return w.sync()
}

func (w *watermark) close() error {
	err := w.sync()
	return errors.Join(err, unix.Munmap(w.mem))
}
