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

	"github.com/lockstepkv/lockstep/internal/disk"
	"github.com/lockstepkv/lockstep/snapshot"
	"github.com/lockstepkv/lockstep/store"
)

type backupOptions struct {
	client clientOptions
	output string
	force  bool
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
of different shards may be of slightly different times.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			o.output = args[0]
			return runBackup(ctx, o, cmd.OutOrStdout())
		}),
	}
	o.client.register(cmd.Flags())
	// A backup lasts as long as its data is large.
	setDefault(cmd, "timeout", time.Hour.String())
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that exist")
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

func runBackup(ctx context.Context, o backupOptions, out io.Writer) error {
	client, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	status, _, err := fetchStatus(ctx, client, 0)
	if err != nil {
		return err
	}
	if len(status.Shards) == 0 {
		return errors.New("the cluster names no shards")
	}
	for _, s := range status.Shards {
		path := o.output
		if len(status.Shards) > 1 {
			path = filepath.Join(o.output, fmt.Sprintf("shard-%d.rdb", s.ID))
		}
		keys, bytes, err := backupShard(ctx, client, s.ID, path, o.force)
		if err != nil {
			return fmt.Errorf("back up shard %d: %w", s.ID, err)
		}
		fmt.Fprintf(out, "shard %d: %d keys, %d bytes in %s\n", s.ID, keys, bytes, path)
	}
	return nil
}

// backupShard writes to a temporary file beside path, reads it back whole to
// check it, and renames it, so that path is never half a backup.
func backupShard(ctx context.Context, client *apiClient, shard int, path string, force bool) (keys int, bytes int64, err error) {
	if _, err := os.Stat(path); err == nil && !force {
		return 0, 0, fmt.Errorf("%s exists; --force replaces it", path)
	}
	if err := disk.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, 0, err
	}
	res, err := client.do(ctx, apiRequest{method: http.MethodGet, path: fmt.Sprintf("/v1/shards/%d/backup", shard)})
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(file.Name()) // fails after the rename, as it should
	defer file.Close()
	if _, err := io.Copy(file, res.Body); err != nil {
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
func checkRDB(file *os.File, name string) (*snapshot.Info, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return snapshot.Scan(file, snapshot.ReadOptions{File: name}, func(store.Item) error { return nil })
}
