package command

import (
	"strings"

	"github.com/lockstepkv/lockstep/resp"
)

// Help answers the HELP subcommand of a container: its subcommands, their
// arguments and what they do, as lines of text.
func (sp *Spec) Help() resp.Value {
	name := strings.ToUpper(sp.Name)
	lines := []resp.Value{resp.Simple(name + " <subcommand> [argument ...], where the subcommand is one of:")}
	for _, sub := range sp.Sub {
		line := strings.ToUpper(sub.Name[len(sp.Name)+1:])
		if syntax := sub.Syntax(); syntax != "" {
			line += " " + syntax
		}
		lines = append(lines, resp.Simple(line), resp.Simple("    "+sub.Summary))
	}
	return resp.Array(lines...)
}
