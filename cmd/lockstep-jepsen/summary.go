package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/jepsen/report"
)

func newSummary() *cobra.Command {
	var page string
	cmd := &cobra.Command{
		Use: "summary DIR...", Short: "Print a table of finished runs (Markdown)", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			s := report.Summarize(dirs)
			s.Markdown(cmd.OutOrStdout())
			if page == "" {
				return nil
			}
			text, err := s.HTML()
			if err != nil {
				return err
			}
			return os.WriteFile(page, text, 0o644)
		},
	}
	cmd.Flags().StringVar(&page, "html", "", "also write a page with links to those of the runs")
	return cmd
}
