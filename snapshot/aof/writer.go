package aof

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

const writeBuffer = 256 << 10

// Writer writes a Redis append-only file: an RDB file as its beginning
// (aof-use-rdb-preamble), then commands as clients send them. As one file named
// appendonly.aof in the directory of a redis-server with "appendonly yes" it is
// loaded by every version since 4; since 7 the server moves it into its
// appendonlydir at that start. ExportRedisDir writes the layout of 7 itself.
type Writer struct {
	w       *bufio.Writer
	num     []byte
	started bool // the database was selected
}

// NewWriter returns a writer of an append-only file to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, writeBuffer)}
}

// Base writes the RDB preamble. It comes first or not at all.
func (a *Writer) Base(sn *store.Snapshot, now int64) error {
	if a.started {
		return errors.New("the base of an append-only file stands at its beginning")
	}
	return rdb.WriteWith(a.w, sn, nil, rdb.WriteOptions{NowMillis: now, AOFBase: true})
}

// Unit writes commands that take effect together. No command is no effect.
func (a *Writer) Unit(cmds []Command) error {
	if len(cmds) == 0 {
		return nil
	}
	if !a.started {
		a.started = true
		a.command(Command{[]byte("SELECT"), []byte("0")})
	}
	if len(cmds) == 1 {
		return a.command(cmds[0])
	}
	a.command(Command{[]byte("MULTI")})
	for _, c := range cmds {
		a.command(c)
	}
	return a.command(Command{[]byte("EXEC")})
}

// command writes one command. The writer's first error sticks, so it is enough
// to look at that of the last one.
func (a *Writer) command(c Command) error {
	err := a.header('*', len(c))
	for _, arg := range c {
		a.header('$', len(arg))
		a.w.Write(arg)
		_, err = a.w.WriteString("\r\n")
	}
	return err
}

func (a *Writer) header(kind byte, n int) error {
	a.num = append(strconv.AppendInt(append(a.num[:0], kind), int64(n), 10), '\r', '\n')
	_, err := a.w.Write(a.num)
	return err
}

// Flush writes what is buffered.
func (a *Writer) Flush() error { return a.w.Flush() }

// The names that redis-server 7 expects by default.
const (
	redisAppendDir = "appendonlydir"
	redisBase      = "appendonly.aof.1.base.rdb"
	redisIncr      = "appendonly.aof.1.incr.aof"
	redisManifest  = "appendonly.aof.manifest"
)

// ExportRedisDir writes below dir what "redis-server --dir DIR --appendonly yes"
// of version 7 loads: appendonlydir with a base, the commands that log writes,
// and the manifest, which comes last. Everything is synced. It refuses to
// replace an appendonlydir. After an error what was written is removed.
func ExportRedisDir(dir string, sn *store.Snapshot, now int64, log func(*Writer) error) (err error) {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sub := filepath.Join(dir, redisAppendDir)
	if err := os.Mkdir(sub, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(sub))
		}
	}()
	base := func(w io.Writer) error {
		return rdb.WriteWith(w, sn, nil, rdb.WriteOptions{NowMillis: now, AOFBase: true})
	}
	incr := func(w io.Writer) error {
		a := NewWriter(w)
		if err := log(a); err != nil {
			return err
		}
		return a.Flush()
	}
	manifest := func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "file %s seq 1 type b\nfile %s seq 1 type i\n", redisBase, redisIncr)
		return err
	}
	for _, part := range []struct {
		name  string
		write func(io.Writer) error
	}{{redisBase, base}, {redisIncr, incr}, {redisManifest, manifest}} {
		if err := disk.CreateSync(filepath.Join(sub, part.name), 0o600, part.write); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(sub); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}
