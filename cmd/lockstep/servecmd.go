package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/internal/config"
)

func newServeCommand(hangups <-chan os.Signal) *cobra.Command {
	s := config.New()
	var configPath string
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one node",
		Long: `Run one node until SIGINT or SIGTERM. On SIGHUP it reads its passwords and
certificates again, as it does by itself when their files change.

Every setting is a flag, an environment variable (--data-dir is
LOCKSTEP_DATA_DIR) and a key of the YAML file that --config names (data-dir); a
flag wins over the environment, the environment over the file. Sizes are as in
redis.conf: 1kb is 1024 bytes, 1k is 1000.`,
		Args: cobra.NoArgs,
		RunE: action(func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			// Whoever reads the log may end before the node does.
			signal.Ignore(syscall.SIGPIPE)
			if configPath == "" {
				configPath = os.Getenv(config.EnvName("config"))
			}
			cfg, err := s.Load(configPath, os.Environ())
			if err != nil {
				return withCode(exitUsage, indentLines(err))
			}
			if printConfig {
				text, err := s.YAML()
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			logger := newLogger(cfg.Log, os.Stderr)
			for _, name := range s.Unknown {
				logger.Warn("an environment variable looks like a setting and is none", "variable", name)
			}
			if cfg.CrossShardOverHTTPOnly() {
				logger.Warn("--allow-cross-shard has an effect over HTTP only: over the Redis protocol it needs --redirect forward")
			}
			if cfg.Raft.LeaseOutlastsElection() {
				logger.Warn("--lease-duration is longer than an election takes: after a leader's death nobody is served until it is over",
					"lease", cfg.Raft.LeaseDuration, "heartbeat_timeout", cfg.Raft.HeartbeatTimeout, "election_timeout", cfg.Raft.ElectionTimeout)
			}
			if s.PasswordIsIn(configPath) {
				warnOfExposure(logger, configPath)
			}
			return runServe(ctx, cfg, logger, hangups)
		}),
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&configPath, "config", "", "YAML file with settings")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print the settings as they would be used, as YAML, and end")
	cmd.Flags().AddFlagSet(s.Flags)
	return cmd
}

func warnOfExposure(logger *slog.Logger, path string) {
	if info, err := os.Stat(path); err == nil {
		if why := exposed(path, info.Mode()); why != "" {
			logger.Warn("--config holds the password: " + why)
		}
	}
}

// indentLines makes one readable block of several mistakes.
func indentLines(err error) error {
	text := err.Error()
	if !strings.Contains(text, "\n") {
		return err
	}
	return fmt.Errorf("several settings are wrong:\n  %s", strings.ReplaceAll(text, "\n", "\n  "))
}
