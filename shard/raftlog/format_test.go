package raftlog

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// Logs in testdata were written by hashicorp/raft-wal v0.4.0 and hashicorp/raft-boltdb v2.3.1 themselves, under
// the checksums of this package: what nodes have on disk must open whatever writes it now.
func TestFormatsStay(t *testing.T) {
	for _, engine := range []string{EngineWAL, EngineBolt} {
		t.Run(engine, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), Engine: engine, SegmentBytes: 8 << 10, CacheBytes: -1}
			unpack(t, filepath.Join("testdata", engine+".tar.gz"), o.Dir)
			var want []*raft.Log
			for i := uint64(5); i <= 25; i++ {
				want = append(want, entry(i, 1, []int{700, 0, 50}[(i-1)%3]))
			}
			want = append(want, entry(26, 2, 100), entry(27, 2, 9))
			for i := range uint64(3) {
				s := mustOpen(t, o)
				checkEntries(t, s, want...)
				if term, err := s.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
					t.Errorf("term %d, %v", term, err)
				}
				if vote, err := s.Get([]byte("LastVoteCand")); err != nil || string(vote) != "n2" {
					t.Errorf("vote %q, %v", vote, err)
				}
				next := batch(28+5*i, 5, 900)
				mustStore(t, s, next...)
				want = append(want, next...)
				mustClose(t, s)
			}
		})
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(h.Name)), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
