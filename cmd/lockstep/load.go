package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const envPrefix = "LOCKSTEP_"

// envName is the environment variable of a flag: --data-dir is LOCKSTEP_DATA_DIR.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// loadConfig fills what was not given as a flag from the environment, then from
// the YAML file at path (none when empty), and checks the whole. An empty environment variable counts
// as not set.
func loadConfig(s *settings, path string, getenv func(string) string) (Config, error) {
	file, err := readConfigFile(path, s.flags)
	if err != nil {
		return Config{}, err
	}
	var errs []error
	s.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			return
		}
		if value := getenv(envName(f.Name)); value != "" {
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s: %w", envName(f.Name), err))
			}
			return
		}
		if value, ok := file[f.Name]; ok {
			if err := f.Value.Set(value); err != nil {
				errs = append(errs, fmt.Errorf("%s in %s: %w", f.Name, path, err))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return s.build()
}

// readConfigFile reads a YAML mapping of flag names to values.
func readConfigFile(path string, flags *pflag.FlagSet) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--config: there is no file %s", path)
	}
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	values, err := parseConfigFile(data, flags)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

func parseConfigFile(data []byte, flags *pflag.FlagSet) (map[string]string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind == 0 {
		return nil, nil // an empty file, or comments only
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: want settings as `name: value`", root.Line)
	}
	values := map[string]string{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, node := root.Content[i].Value, root.Content[i+1]
		if flags.Lookup(name) == nil {
			return nil, fmt.Errorf("line %d: there is no setting %q; `lockstep serve --help` lists them", root.Content[i].Line, name)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("line %d: %s is set twice", root.Content[i].Line, name)
		}
		value, err := configScalar(name, node)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return values, nil
}

// configScalar is a value as the flag would take it. The members of the cluster
// may also be written as a list or as a mapping.
func configScalar(name string, node *yaml.Node) (string, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind == yaml.ScalarNode {
		if node.Tag == "!!null" {
			return "", fmt.Errorf("line %d: %s has no value", node.Line, name)
		}
		return node.Value, nil
	}
	if name != "initial-cluster" {
		return "", fmt.Errorf("line %d: %s must be a single value", node.Line, name)
	}
	var parts []string
	for i := 0; i < len(node.Content); i++ {
		item := node.Content[i]
		if item.Kind != yaml.ScalarNode {
			return "", fmt.Errorf("line %d: %s must hold plain values", item.Line, name)
		}
		part := item.Value
		if node.Kind == yaml.MappingNode {
			i++
			part += "=" + node.Content[i].Value
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ","), nil
}

// effectiveConfig writes every setting as a YAML file that --config reads. The
// password is left out.
func effectiveConfig(s *settings) (string, error) {
	var b strings.Builder
	for i, section := range s.sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# %s\n", section.title)
		var errs []error
		section.flags.VisitAll(func(f *pflag.Flag) {
			if f.Name == "requirepass" {
				b.WriteString(passwordLine(f.Value.String() != ""))
				return
			}
			line, err := yaml.Marshal(map[string]*yaml.Node{f.Name: yamlScalar(f)})
			errs = append(errs, err)
			b.Write(line)
		})
		if err := errors.Join(errs...); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// passwordLine stands for the password, which belongs to no output.
func passwordLine(set bool) string {
	if set {
		return "# requirepass is set; give it again, as " + envName("requirepass") + "\n"
	}
	return "# requirepass is not set\n"
}

// yamlScalar leaves the quoting of words to the YAML encoder.
func yamlScalar(f *pflag.Flag) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: f.Value.String()}
	if f.Value.Type() == "string" {
		node.Tag = "!!str" // a name that looks like a number or like nothing is quoted
	}
	if node.Value == "" {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}
