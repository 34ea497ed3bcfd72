package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstepkv/lockstep/internal/bytesize"
	"github.com/lockstepkv/lockstep/store"
)

// value is a pflag.Value that binds a setting to a field. parse checks the text,
// wherever it comes from (flag, environment or file); format writes what parse reads.
type value[T any] struct {
	to     *T
	kind   string // what --help calls it
	parse  func(string) (T, error)
	format func(T) string
}

func bind[T any](to *T, initial T, kind string, parse func(string) (T, error), format func(T) string) pflag.Value {
	*to = initial
	return value[T]{to, kind, parse, format}
}

func (v value[T]) String() string { return v.format(*v.to) }
func (v value[T]) Type() string   { return v.kind }

func (v value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err == nil {
		*v.to = parsed
	}
	return err
}

// choice is a value that is one of a few words.
type choice[T comparable] struct {
	value[T]
	words []string
}

// Choices are the words, for the documentation.
func (c choice[T]) Choices() []string { return c.words }

// Choice binds a setting that is one of a few words.
func Choice(to *string, initial string, words ...string) pflag.Value {
	return oneOf(to, initial, words, words)
}

// oneOf binds a setting whose words stand for values.
func oneOf[T comparable](to *T, initial T, words []string, values []T) pflag.Value {
	*to = initial
	parse := func(s string) (v T, err error) {
		if i := slices.Index(words, s); i >= 0 {
			return values[i], nil
		}
		return v, fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
	}
	format := func(v T) string {
		if i := slices.Index(values, v); i >= 0 {
			return words[i]
		}
		return ""
	}
	return choice[T]{value[T]{to, strings.Join(words, "|"), parse, format}, words}
}

func logLevel(to *slog.Level, initial slog.Level) pflag.Value {
	return oneOf(to, initial, []string{"debug", "info", "warn", "error"},
		[]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError})
}

func size(to *int64, initial int64) pflag.Value {
	return bind(to, initial, "size", bytesize.Parse, bytesize.Format)
}

func share(to *Share, initial int64) pflag.Value {
	return bind(to, Share{Bytes: initial}, "size or percent", parseShare, Share.String)
}

func parseShare(s string) (Share, error) {
	digits, found := strings.CutSuffix(s, "%")
	if !found {
		n, err := bytesize.Parse(s)
		return Share{Bytes: n}, err
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n > 100 {
		return Share{}, fmt.Errorf("%q is not a percentage from 0%% to 100%%", s)
	}
	return Share{Percent: int(n)}, nil // 0% is no limit, as in Redis
}

func number(to *int, initial int) pflag.Value {
	return bind(to, initial, "int", func(s string) (int, error) {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number", s)
		}
		return int(n), nil
	}, strconv.Itoa)
}

// limit binds one of the limits of packed values.
func limit(to *int64, info store.LimitInfo) pflag.Value {
	return bind(to, info.Default, "int", func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	}, func(n int64) string { return strconv.FormatInt(n, 10) })
}

// Duration binds a time that must be positive.
func Duration(to *time.Duration, initial time.Duration) pflag.Value {
	return bind(to, initial, "duration", func(s string) (time.Duration, error) { return parseDuration(s, false) }, FormatDuration)
}

// Span binds a time that may be 0, which turns something off.
func Span(to *time.Duration, initial time.Duration) pflag.Value {
	return bind(to, initial, "duration", func(s string) (time.Duration, error) { return parseDuration(s, true) }, FormatDuration)
}

func parseDuration(s string, zero bool) (time.Duration, error) {
	switch d, err := time.ParseDuration(s); {
	case err != nil:
		return 0, fmt.Errorf("%q is not a duration: write a number and a unit as in 250ms, 2s, 10m", s)
	case zero && d < 0:
		return 0, fmt.Errorf("duration %q must not be negative", s)
	case !zero && d <= 0:
		return 0, fmt.Errorf("duration %q must be positive", s)
	default:
		return d, nil
	}
}

// FormatDuration drops the zero parts that time.Duration prints: 10m, not 10m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// slowlog binds Redis's slowlog-log-slower-than: microseconds, negative is off, 0 is
// everything; a duration with a unit is understood too.
func slowlog(to *time.Duration, initial time.Duration) pflag.Value {
	return bind(to, initial, "microseconds", parseSlowlog, func(d time.Duration) string {
		return strconv.FormatInt(d.Microseconds(), 10)
	})
}

func parseSlowlog(s string) (time.Duration, error) {
	if micros, err := strconv.ParseInt(s, 10, 64); err == nil {
		if micros > math.MaxInt64/int64(time.Microsecond) || micros < -1 {
			return 0, fmt.Errorf("%q is not a number of microseconds from -1 (off) upwards", s)
		}
		return time.Duration(micros) * time.Microsecond, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is neither microseconds nor a duration such as 10ms; -1 turns the slow log off", s)
	}
	return d, nil
}

// text binds a word that check does not refuse.
func text(to *string, initial, kind string, check func(string) error) pflag.Value {
	return bind(to, initial, kind, func(s string) (string, error) { return s, check(s) }, strings.Clone)
}

// optional lets check see what was given only.
func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

// CheckAddr refuses what is not host:port to listen on or to dial.
func CheckAddr(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: the port must be a number from 1 to 65535", s)
	}
	return nil
}

// members binds a list id=host:port,... An empty one is the default: this node alone.
func members(to *[]Member) pflag.Value {
	return bind(to, nil, "id=host:port,...", parseMembers, func(list []Member) string {
		parts := make([]string, len(list))
		for i, m := range list {
			parts[i] = m.ID + "=" + m.PeerAddr
		}
		return strings.Join(parts, ",")
	})
}

func parseMembers(s string) (list []Member, err error) {
	if s == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		id, addr, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return nil, fmt.Errorf("%q is not id=host:port", part)
		}
		if err := cmp.Or(checkNodeID(id), CheckAddr(addr)); err != nil {
			return nil, err
		}
		for _, m := range list {
			if m.ID == id {
				return nil, fmt.Errorf("node %q is listed twice", id)
			}
			if m.PeerAddr == addr {
				return nil, fmt.Errorf("nodes %q and %q have the same address %s", m.ID, id, addr)
			}
		}
		list = append(list, Member{ID: id, PeerAddr: addr})
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// names binds a list of names, separated by commas. check refuses one; it sees the whole too.
func names(to *[]string, kind string, check func(name, all string) error) pflag.Value {
	parse := func(s string) (list []string, err error) {
		for part := range strings.SplitSeq(s, ",") {
			name := strings.TrimSpace(part)
			if err := check(name, s); err != nil {
				return nil, err
			}
			if name != "" {
				list = append(list, name)
			}
		}
		return list, nil
	}
	return bind(to, nil, kind, parse, func(list []string) string { return strings.Join(list, ",") })
}

// checkHost refuses what no Host of a request can be.
func checkHost(name, _ string) error {
	if strings.ContainsAny(name, "/:*?#@[] ") {
		return fmt.Errorf("%q is not the name of a host: write it without scheme, port and wildcard", name)
	}
	return nil
}

// checkCertificateName refuses what is neither a host nor an address.
func checkCertificateName(name, all string) error {
	if name == "" && all != "" {
		return fmt.Errorf("%q holds an empty name", all)
	}
	if strings.ContainsAny(name, "*/: \t") && net.ParseIP(name) == nil {
		return fmt.Errorf("%q is not the name of a host", name)
	}
	return nil
}

// checkNodeID keeps ids fit for file names, logs and metrics.
func checkNodeID(id string) error {
	if id == "" || len(id) > 64 {
		return fmt.Errorf("node id %q must have 1 to 64 characters", id)
	}
	for _, c := range id {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return fmt.Errorf("node id %q may hold letters, digits, '-', '_' and '.' only", id)
		}
	}
	if id[0] == '.' {
		return errors.New("a node id must not begin with '.'")
	}
	return nil
}
