package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types in this file are pflag.Value: they check one setting wherever it
// comes from (flag, environment or file).

// sizeValue is a number of bytes in Redis's notation.
type sizeValue int64

// sizeUnits are Redis's: k is 1000, kb is 1024.
func sizeUnit(unit string) (factor int64, ok bool) {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1, true
	case "k":
		return 1000, true
	case "kb":
		return 1 << 10, true
	case "m":
		return 1000_000, true
	case "mb":
		return 1 << 20, true
	case "g":
		return 1000_000_000, true
	case "gb":
		return 1 << 30, true
	}
	return 0, false
}

func parseSize(s string) (int64, error) {
	digits := strings.TrimLeft(s, "0123456789")
	number, unit := s[:len(s)-len(digits)], digits
	factor, ok := sizeUnit(unit)
	if number == "" || !ok {
		return 0, fmt.Errorf("%q is not a size: write bytes or a unit as in 100, 64kb, 512mb, 2gb", s)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("size %q is too large", s)
	}
	return n * factor, nil
}

func (v *sizeValue) Set(s string) error {
	n, err := parseSize(s)
	if err != nil {
		return err
	}
	*v = sizeValue(n)
	return nil
}

// String writes the largest binary unit that divides the size.
func (v *sizeValue) String() string {
	n := int64(*v)
	for _, u := range []struct {
		factor int64
		name   string
	}{{1 << 30, "gb"}, {1 << 20, "mb"}, {1 << 10, "kb"}} {
		if n != 0 && n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func (*sizeValue) Type() string { return "size" }

// sizeOrPercentValue is a number of bytes, or percent of something.
type sizeOrPercentValue struct {
	size    sizeValue
	percent int // 0: size counts
}

func (v *sizeOrPercentValue) Set(s string) error {
	digits, found := strings.CutSuffix(s, "%")
	if !found {
		v.percent = 0
		return v.size.Set(s)
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n > 100 {
		return fmt.Errorf("%q is not a percentage from 0%% to 100%%", s)
	}
	v.size, v.percent = 0, int(n) // 0% is no limit, as in Redis
	return nil
}

func (v *sizeOrPercentValue) String() string {
	if v.percent > 0 {
		return strconv.Itoa(v.percent) + "%"
	}
	return v.size.String()
}

func (*sizeOrPercentValue) Type() string { return "size or percent" }

// intValue is a whole number.
type intValue int

func (v *intValue) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	*v = intValue(n)
	return nil
}

func (v *intValue) String() string { return strconv.Itoa(int(*v)) }
func (*intValue) Type() string     { return "int" }

// choiceValue is one of a few words.
type choiceValue struct {
	value   string
	choices []string
}

func (v *choiceValue) Set(s string) error {
	if !slices.Contains(v.choices, s) {
		return fmt.Errorf("%q is not one of %s", s, strings.Join(v.choices, ", "))
	}
	v.value = s
	return nil
}

func (v *choiceValue) String() string { return v.value }
func (v *choiceValue) Type() string   { return strings.Join(v.choices, "|") }

// durationValue is a positive time.Duration.
type durationValue time.Duration

func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number and a unit as in 250ms, 2s, 10m", s)
	}
	if d <= 0 {
		return fmt.Errorf("duration %q must be positive", s)
	}
	*v = durationValue(d)
	return nil
}

func (v *durationValue) String() string { return formatDuration(time.Duration(*v)) }
func (*durationValue) Type() string     { return "duration" }

// spanValue is a time.Duration that may be 0, which turns something off.
type spanValue time.Duration

func (v *spanValue) Set(s string) error {
	switch d, err := time.ParseDuration(s); {
	case err == nil && d == 0:
		*v = 0
		return nil
	case err == nil && d < 0:
		return fmt.Errorf("duration %q must not be negative", s)
	}
	return (*durationValue)(v).Set(s)
}

func (v *spanValue) String() string { return formatDuration(time.Duration(*v)) }
func (*spanValue) Type() string     { return "duration" }

// formatDuration drops the zero parts that time.Duration prints: 10m, not 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// slowlogValue is Redis's slowlog-log-slower-than: microseconds, negative is
// off, 0 is everything; a duration with a unit is understood too.
type slowlogValue time.Duration

func (v *slowlogValue) Set(s string) error {
	if micros, err := strconv.ParseInt(s, 10, 64); err == nil {
		if micros > math.MaxInt64/int64(time.Microsecond) || micros < -1 {
			return fmt.Errorf("%q is not a number of microseconds from -1 (off) upwards", s)
		}
		*v = slowlogValue(time.Duration(micros) * time.Microsecond)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is neither microseconds nor a duration such as 10ms; -1 turns the slow log off", s)
	}
	*v = slowlogValue(d)
	return nil
}

func (v *slowlogValue) String() string {
	return strconv.FormatInt(time.Duration(*v).Microseconds(), 10)
}
func (*slowlogValue) Type() string { return "microseconds" }

// addrValue is a host:port to listen on.
type addrValue string

func (v *addrValue) Set(s string) error {
	if err := checkAddr(s); err != nil {
		return err
	}
	*v = addrValue(s)
	return nil
}

func (v *addrValue) String() string { return string(*v) }
func (*addrValue) Type() string     { return "host:port" }

// optionalAddrValue is an addrValue that may be empty: not given.
type optionalAddrValue string

func (v *optionalAddrValue) Set(s string) error {
	if s != "" {
		if err := checkAddr(s); err != nil {
			return err
		}
	}
	*v = optionalAddrValue(s)
	return nil
}

func (v *optionalAddrValue) String() string { return string(*v) }
func (*optionalAddrValue) Type() string     { return "host:port" }

func checkAddr(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: the port must be a number from 1 to 65535", s)
	}
	return nil
}

// isLoopback never asks a name server: only what is certain counts.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// membersValue is a list id=host:port,...
type membersValue []Member

// Set takes an empty list too, which is the default: this node alone.
func (v *membersValue) Set(s string) error {
	if s == "" {
		*v = nil
		return nil
	}
	members, err := parseMembers(s)
	if err != nil {
		return err
	}
	*v = members
	return nil
}

func (v *membersValue) String() string {
	parts := make([]string, len(*v))
	for i, m := range *v {
		parts[i] = m.ID + "=" + m.PeerAddr
	}
	return strings.Join(parts, ",")
}

func (*membersValue) Type() string { return "id=host:port,..." }

func parseMembers(s string) ([]Member, error) {
	var members []Member
	for part := range strings.SplitSeq(s, ",") {
		id, addr, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			return nil, fmt.Errorf("%q is not id=host:port", part)
		}
		if err := checkNodeID(id); err != nil {
			return nil, err
		}
		if err := checkAddr(addr); err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.ID == id {
				return nil, fmt.Errorf("node %q is listed twice", id)
			}
			if m.PeerAddr == addr {
				return nil, fmt.Errorf("nodes %q and %q have the same address %s", m.ID, id, addr)
			}
		}
		members = append(members, Member{ID: id, PeerAddr: addr})
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return members, nil
}

// hostsValue is a list of host names.
type hostsValue []string

func (v *hostsValue) Set(s string) error {
	var hosts []string
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if strings.ContainsAny(name, "/:*?#@[] ") {
			return fmt.Errorf("%q is not the name of a host: write it without scheme, port and wildcard", name)
		}
		hosts = append(hosts, name)
	}
	*v = hosts
	return nil
}

func (v *hostsValue) String() string { return strings.Join(*v, ",") }
func (*hostsValue) Type() string     { return "host,..." }

// namesValue is a list of names of hosts, or addresses.
type namesValue []string

func (v *namesValue) Set(s string) error {
	var names []string
	for part := range strings.SplitSeq(s, ",") {
		name := strings.TrimSpace(part)
		if name == "" && s != "" {
			return fmt.Errorf("%q holds an empty name", s)
		}
		if strings.ContainsAny(name, "*/: \t") && net.ParseIP(name) == nil {
			return fmt.Errorf("%q is not the name of a host", name)
		}
		if name != "" {
			names = append(names, name)
		}
	}
	*v = names
	return nil
}

func (v *namesValue) String() string { return strings.Join(*v, ",") }
func (*namesValue) Type() string     { return "name,..." }

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
