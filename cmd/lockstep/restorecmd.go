package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/fsm"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

type restoreOptions struct {
	resp  respOptions
	files []string
	// endpoints are for what restore asks over HTTP; empty: the node says where.
	endpoints     []string
	withoutFences bool
	flush         bool
	merge         bool
}

func newRestoreCommand() *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE...",
		Short: "Load RDB files, made by lockstep backup or by Redis, into a running cluster",
		Long: `Load RDB files into a running cluster, through its log like any other write:
every node gets the data, whatever the number of nodes and shards was where the
files come from. A directory stands for its *.rdb files. Strings are loaded with
their expiry times; a key whose time is up is left out; other data types are
refused before anything is changed, and so is a damaged file, or a value that is
larger than the cluster takes (--max-value-size of its nodes).

The cluster must hold no keys, unless --flush empties it first or --merge writes
the keys over those that are there.`,
		Args: cobra.MinimumNArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			o.files = args
			return runRestore(ctx, o, cmd.OutOrStdout())
		}),
	}
	o.resp.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.flush, "flush", false, "delete every key of the cluster first")
	cmd.Flags().BoolVar(&o.merge, "merge", false, "keep the cluster's keys and overwrite those that the files hold too")
	cmd.Flags().StringSliceVar(&o.endpoints, "endpoint", nil, "HTTP address of a node, if the one that the node of --resp tells cannot be reached from here")
	cmd.Flags().BoolVar(&o.withoutFences, "without-fences", false, "let the cluster's locks have fences that the backup's cluster gave out before")
	cmd.MarkFlagsMutuallyExclusive("flush", "merge")
	return cmd
}

func runRestore(ctx context.Context, o restoreOptions, out io.Writer) error {
	files, err := restoreFiles(o.files)
	if err != nil {
		return err
	}
	var fence uint64
	var largest largestItem
	for _, path := range files {
		info, err := checkFile(path, &largest)
		if err != nil {
			return err // nothing was changed yet
		}
		fence = max(fence, fenceOf(info))
	}
	loader, err := newRestoreLoader(ctx, o.resp)
	if err != nil {
		return err
	}
	defer loader.close()
	if err := loader.checkFits(ctx, largest); err != nil {
		return err
	}
	if err := loader.beginWith(ctx, o, fence); err != nil {
		return err
	}
	loader.shown = newProgress("restore", totalSize(files))
	for _, path := range files {
		info, err := loader.load(ctx, path)
		loader.shown.end()
		if err != nil {
			err = fmt.Errorf("%s: stopped after %d keys, which are in the cluster now: %w", path, loader.loaded, err)
			if loader.refused(err) {
				return withCode(exitFailed, err)
			}
			return withCode(exitInDoubt, err)
		}
		fmt.Fprintf(out, "%s: %d keys loaded, %d were expired\n", path, info.Keys, info.Expired)
	}
	return nil
}

// checkFile reads the whole file without loading anything.
func checkFile(path string, largest *largestItem) (info *rdb.Info, err error) {
	err = withFile(path, func(f *os.File) error {
		info, err = rdb.Scan(f, rdb.ReadOptions{File: path, Packed: redisLimits()}, func(item store.Item) error {
			return largest.see(path, item)
		})
		return err
	})
	return info, err
}

// fenceOf is the highest fence that the file's shard had given out, 0 for a file
// of Redis.
func fenceOf(info *rdb.Info) uint64 {
	for _, aux := range info.Aux {
		if fence, err := strconv.ParseUint(string(aux.Value), 10, 64); aux.Key == fsm.FenceAux && err == nil {
			return fence
		}
	}
	return 0
}

// restoreFiles replaces directories by the RDB files in them.
func restoreFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, withCode(exitUsage, err)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		found, err := filepath.Glob(filepath.Join(arg, "*.rdb"))
		if err != nil || len(found) == 0 {
			return nil, withCode(exitUsage, fmt.Errorf("there is no *.rdb file in %s", arg))
		}
		files = append(files, found...)
	}
	return files, nil
}

func totalSize(files []string) (bytes int64) {
	for _, path := range files {
		if info, err := os.Stat(path); err == nil { // opening it tells what is wrong
			bytes += info.Size()
		}
	}
	return bytes
}

func withFile(path string, fn func(*os.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(fn(f), f.Close())
}
