package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const envPrefix = "LOCKSTEP_"

// EnvName is the environment variable of a flag: --data-dir is LOCKSTEP_DATA_DIR.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// given is the text of a setting and where it stands.
type given struct{ Text, Origin string }

// fromFile says of a setting that it stands in the file at path.
func fromFile(name, path string) string { return name + " in " + path }

// Load fills what was not given as a flag from the environment, then from the YAML file at
// path (none when empty), and checks the whole. It reports every mistake at once. An empty
// environment variable counts as not set.
func (s *Settings) Load(path string, environ []string) (Config, error) {
	s.given = koanf.New("/") // no setting's name holds one
	if path != "" {
		if err := s.given.Load(yamlFile{path, s.Flags}, nil); err != nil {
			return Config{}, err
		}
	}
	if err := s.given.Load(s.environment(environ), nil); err != nil {
		return Config{}, err
	}
	var errs []error
	s.Flags.VisitAll(func(f *pflag.Flag) {
		if v, ok := s.given.Get(f.Name).(given); ok && !f.Changed {
			if err := f.Value.Set(v.Text); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", v.Origin, err))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return s.cfg.finish()
}

// environment reads the variables that are settings. A slip of the pen in others would leave a
// default in force, so those are noted. They do not keep a node from starting, as an unknown
// key of its own file does: the environment is shared with others.
func (s *Settings) environment(environ []string) koanf.Provider {
	known := map[string]string{}
	s.Flags.VisitAll(func(f *pflag.Flag) { known[EnvName(f.Name)] = f.Name })
	return env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, text string) (string, any) {
			name, ok := known[variable]
			if !ok && !isOtherVariable(variable) {
				s.Unknown = append(s.Unknown, variable)
				slices.Sort(s.Unknown)
			}
			if text == "" {
				name = "" // passed over
			}
			return name, given{text, "environment variable " + variable}
		},
	})
}

// otherVariables are those of the other programs and commands of Lockstep: a
// name, or with a '_' at its end a family of names.
var otherVariables = []string{
	"LOCKSTEP_CONFIG", "LOCKSTEP_ENDPOINT", "LOCKSTEP_PASSWORD", "LOCKSTEP_PASSWORD_FILE", "LOCKSTEP_LOCK", "LOCKSTEP_FENCE",
	"LOCKSTEP_CACERT", "LOCKSTEP_CERT", "LOCKSTEP_KEY",
	"LOCKSTEP_CLUSTER_DIR", "LOCKSTEP_BASE_PORT_OFFSET", "LOCKSTEP_BIN",
	"LOCKSTEP_HARNESS_", "LOCKSTEP_TEST_", "LOCKSTEP_FAILPOINTS",
	// Kubernetes gives these to every container beside a Service of that name.
	"LOCKSTEP_SERVICE_", "LOCKSTEP_PORT", "LOCKSTEP_PORT_",
}

func isOtherVariable(name string) bool {
	return slices.ContainsFunc(otherVariables, func(other string) bool {
		return name == other || strings.HasSuffix(other, "_") && strings.HasPrefix(name, other)
	})
}

// PasswordIsIn reports whether the password itself stands in the file at path.
func (s *Settings) PasswordIsIn(path string) bool {
	const name = "requirepass"
	v, _ := s.given.Get(name).(given)
	return v.Text != "" && v.Origin == fromFile(name, path) && !s.Flags.Changed(name)
}

// yamlFile is a mapping of settings to values, as a koanf.Provider. Texts stay as they are
// written: what YAML takes for a number, a date or a truth may be a password.
type yamlFile struct {
	path  string
	flags *pflag.FlagSet
}

// ReadBytes implements koanf.Provider.
func (yamlFile) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

// Read implements koanf.Provider.
func (f yamlFile) Read() (map[string]any, error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--config: there is no file %s", f.path)
	}
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	values, err := f.parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return values, nil
}

func (f yamlFile) parse(data []byte) (map[string]any, error) {
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
	values := map[string]any{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, node := root.Content[i].Value, root.Content[i+1]
		if f.flags.Lookup(name) == nil {
			return nil, fmt.Errorf("line %d: there is no setting %q; `lockstep serve --help` lists them", root.Content[i].Line, name)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("line %d: %s is set twice", root.Content[i].Line, name)
		}
		text, err := scalar(name, node)
		if err != nil {
			return nil, err
		}
		values[name] = given{text, fromFile(name, f.path)}
	}
	return values, nil
}

// scalar is a value as the flag would take it. The members of the cluster
// may also be written as a list or as a mapping.
func scalar(name string, node *yaml.Node) (string, error) {
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

// YAML writes every setting as a YAML file that --config reads. The
// password is left out.
func (s *Settings) YAML() (string, error) {
	var b strings.Builder
	for i, section := range s.Sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# %s\n", section.Title)
		var errs []error
		section.Flags.VisitAll(func(f *pflag.Flag) {
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
		return "# requirepass is set; give it again, as " + EnvName("requirepass") + "\n"
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
