package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/snapshot/rdb"
	"github.com/lockstepkv/lockstep/store"
)

type backupOptions struct {
	client clientOptions
	output string
	force  bool
	shard  int // -1: every shard
}

func newBackupCommand() *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup OUTPUT",
		Short: "Save the data of a running cluster as RDB files",
		Long: `Save the data of a running cluster as RDB files that redis-server and
"lockstep restore" load. With one shard OUTPUT is the file; with several it is a
directory with one file per shard, shard-0.rdb and so on. Each file is one
linearizable state of its shard, newer than the beginning of the command; files
of different shards may be of slightly different times.

OUTPUT - is standard output, for one shard: the only one, or that of --shard. What
was written there is whole if the command ends with exit code 0.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			o.output = args[0]
			return runBackup(ctx, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	o.client.register(cmd.Flags())
	// A backup lasts as long as its data is large.
	setDefault(cmd, "timeout", time.Hour.String())
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that exist")
	cmd.Flags().IntVar(&o.shard, "shard", -1, "one shard only; -1: all")
	return cmd
}

// setDefault changes the default of a shared flag for one command.
func setDefault(cmd *cobra.Command, flag, value string) {
	f := cmd.Flags().Lookup(flag)
	f.DefValue = value
	if err := f.Value.Set(value); err != nil {
		panic(err) // a constant of this program is wrong
	}
}

func runBackup(ctx context.Context, o backupOptions, out, errs io.Writer) error {
	api, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	status, _, err := fetchStatus(ctx, api, 0)
	if err != nil {
		return err
	}
	shards, err := o.shardsOf(status)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		path, said := o.output, out
		if len(shards) > 1 {
			path = filepath.Join(o.output, fmt.Sprintf("shard-%d.rdb", shard))
		}
		var keys int
		var bytes int64
		if path == "-" {
			said = errs
			keys, bytes, err = streamBackup(ctx, api, shard, out)
		} else {
			keys, bytes, err = backupShard(ctx, api, shard, path, o.force)
		}
		if err != nil {
			return fmt.Errorf("back up shard %d: %w", shard, err)
		}
		fmt.Fprintf(said, "shard %d: %d keys, %d bytes in %s\n", shard, keys, bytes, path)
	}
	return nil
}

// shardsOf lists what is to be saved.
func (o backupOptions) shardsOf(c clusterStatus) ([]int, error) {
	var list []int
	for _, s := range c.Shards {
		if o.shard < 0 || o.shard == s.ID {
			list = append(list, s.ID)
		}
	}
	switch {
	case len(c.Shards) == 0:
		return nil, errors.New("the cluster names no shards")
	case len(list) == 0:
		return nil, withCode(exitUsage, config.Mistake("shard", "%d: the cluster has shards 0 to %d", o.shard, len(c.Shards)-1))
	case o.output == "-" && len(list) > 1:
		return nil, withCode(exitUsage, fmt.Errorf("standard output takes one shard, and there are %d: say which with --shard", len(list)))
	}
	return list, nil
}

// streamBackup writes a shard to out and checks it on its way.
func streamBackup(ctx context.Context, api *apiClient, shard int, out io.Writer) (keys int, bytes int64, err error) {
	data, err := api.stream(ctx, backupRequest(shard))
	if err != nil {
		return 0, 0, err
	}
	defer data.Close()
	shown := newProgress(fmt.Sprintf("shard %d", shard), 0)
	defer shown.end()
	body := io.TeeReader(shown.reader(data), out)
	info, err := rdb.Scan(body, rdb.ReadOptions{File: "-", Packed: redisLimits()}, func(store.Item) error { return nil })
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("what was written is of no use: %w", err)
	}
	return info.Keys, info.Bytes, nil
}

func backupRequest(shard int) client.Request {
	return client.Request{Method: http.MethodGet, Path: fmt.Sprintf("/v1/shards/%d/backup", shard)}
}

// backupShard writes to a temporary file beside path, reads it back whole to
// check it, and renames it, so that path is never half a backup.
func backupShard(ctx context.Context, api *apiClient, shard int, path string, force bool) (keys int, bytes int64, err error) {
	if _, err := os.Stat(path); err == nil && !force {
		return 0, 0, fmt.Errorf("%s exists; --force replaces it", path)
	}
	if err := disk.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, 0, err
	}
	data, err := api.stream(ctx, backupRequest(shard))
	if err != nil {
		return 0, 0, err
	}
	defer data.Close()
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(file.Name()) // fails after the rename, as it should
	defer file.Close()
	shown := newProgress(fmt.Sprintf("shard %d", shard), 0)
	_, err = io.Copy(file, shown.reader(data))
	shown.end()
	if err != nil {
		return 0, 0, fmt.Errorf("the connection broke: %w", err)
	}
	info, err := checkRDB(file, path)
	if err != nil {
		return 0, 0, err
	}
	if err := errors.Join(file.Chmod(0o600), file.Sync()); err != nil {
		return 0, 0, err
	}
	return info.Keys, info.Bytes, disk.Rename(file.Name(), path)
}

// checkRDB reads an open file from its beginning to its checksum.
func checkRDB(file *os.File, name string) (*rdb.Info, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return rdb.Scan(file, rdb.ReadOptions{File: name, Packed: redisLimits()}, func(store.Item) error { return nil })
}

func redisLimits() *store.Limits {
	l := store.DefaultLimits()
	return &l
}
