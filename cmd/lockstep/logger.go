package main

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"

	"github.com/lockstepkv/lockstep/internal/config"
)

// newLogger writes the node's own log to standard error.
func newLogger(l config.Log, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.JSON {
		return slog.New(tidyHandler{next: slog.NewJSONHandler(w, options)})
	}
	return slog.New(tidyHandler{next: slog.NewTextHandler(w, options)})
}

// reservedKeys are those that slog writes itself.
var reservedKeys = []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey}

// tidyHandler gives every key of a line once and every value as text, number or truth:
// libraries, and callers that do not know what a logger carries already, do neither.
type tidyHandler struct {
	next slog.Handler
	keys []string // of With; in a group they count anew
}

func (h tidyHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h tidyHandler) Handle(ctx context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	tidy, _ := tidyAttrs(attrs, h.taken())
	out.AddAttrs(tidy...)
	return h.next.Handle(ctx, out)
}

func (h tidyHandler) taken() []string { return append(slices.Clone(reservedKeys), h.keys...) }

func (h tidyHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	tidy, keys := tidyAttrs(attrs, h.taken())
	return tidyHandler{h.next.WithAttrs(tidy), keys[len(reservedKeys):]}
}

func (h tidyHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return tidyHandler{next: h.next.WithGroup(name)}
}

// tidyAttrs numbers keys that are taken, and returns those that are then.
func tidyAttrs(attrs []slog.Attr, taken []string) ([]slog.Attr, []string) {
	var out []slog.Attr
	for _, a := range attrs {
		a.Value = a.Value.Resolve()
		if a.Equal(slog.Attr{}) {
			continue
		}
		if a.Value.Kind() == slog.KindGroup {
			var inner []slog.Attr
			if a.Key == "" { // its attributes stand where it does
				inner, taken = tidyAttrs(a.Value.Group(), taken)
				out = append(out, inner...)
				continue
			}
			inner, _ = tidyAttrs(a.Value.Group(), nil)
			a.Value = slog.GroupValue(inner...)
		}
		key := a.Key
		for i := 2; slices.Contains(taken, a.Key); i++ {
			a.Key = key + "_" + strconv.Itoa(i)
		}
		taken = append(taken, a.Key)
		if a.Value.Kind() == slog.KindAny {
			a.Value = tidyValue(a.Value.Any())
		}
		out = append(out, a)
	}
	return out, taken
}

// tidyValue makes text of what is neither a plain value nor made for JSON.
func tidyValue(v any) slog.Value {
	switch v := v.(type) {
	case nil:
		return slog.StringValue("")
	case error:
		return slog.StringValue(v.Error())
	case fmt.Stringer:
		return slog.StringValue(v.String())
	case encoding.TextMarshaler, json.Marshaler:
		return slog.AnyValue(v)
	}
	if text, err := json.Marshal(v); err == nil && string(text) != "{}" {
		return slog.AnyValue(v)
	}
	return slog.StringValue(fmt.Sprint(v))
}
