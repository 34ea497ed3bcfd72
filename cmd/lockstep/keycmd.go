package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/internal/config"
)

func newKeyCommand() *cobra.Command {
	cmd := newContainerCommand("key", "Read and change single keys")
	cmd.AddCommand(newKeyGetCommand(), newKeySetCommand(), newKeyDelCommand())
	return cmd
}

// keyPath escapes a key whole: a '/' in it is data, not structure. The
// empty key has an address too.
func keyPath(key string) string { return "/v1/keys/" + url.PathEscape(key) }

// keyAnswer is the answer of GET and PUT /v1/keys/{key}.
type keyAnswer struct {
	Key         string  `json:"key"`
	Type        string  `json:"type"`
	Value       *string `json:"value"`
	ValueBase64 *string `json:"value_base64"`
	Version     uint64  `json:"version"`
}

func (a keyAnswer) bytes() ([]byte, error) {
	switch {
	case a.Value != nil:
		return []byte(*a.Value), nil
	case a.ValueBase64 != nil:
		b, err := base64.StdEncoding.DecodeString(*a.ValueBase64)
		if err != nil {
			return nil, fmt.Errorf("the answer's value_base64: %w", err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("the answer has no value (type %q)", a.Type)
}

type keyGetOptions struct {
	client       clientOptions
	json, raw    bool
	stale        bool
	maxStaleness time.Duration
}

func newKeyGetCommand() *cobra.Command {
	var o keyGetOptions
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long:  "Print the value of a key and a newline. A key that does not exist prints nothing and ends with exit code 3.",
		Args:  cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("max-staleness") && o.maxStaleness < time.Millisecond {
				return withCode(exitUsage, fmt.Errorf("--max-staleness: %v is less than a millisecond", o.maxStaleness))
			}
			return keyGet(ctx, cmd.OutOrStdout(), o, args[0])
		}),
	}
	o.client.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print the server's whole JSON answer")
	cmd.Flags().BoolVar(&o.raw, "raw", false, "print the value's bytes and nothing after them")
	cmd.Flags().BoolVar(&o.stale, "stale", false, "let the node answer from its own memory without asking the others")
	cmd.Flags().DurationVar(&o.maxStaleness, "max-staleness", 0, "with --stale: the oldest data to accept")
	cmd.MarkFlagsMutuallyExclusive("json", "raw")
	return cmd
}

func keyGet(ctx context.Context, out io.Writer, o keyGetOptions, key string) error {
	api, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	query := url.Values{}
	if o.stale {
		query.Set("consistency", "stale")
	}
	if o.maxStaleness > 0 {
		if !o.stale {
			return withCode(exitUsage, errors.New("--max-staleness needs --stale"))
		}
		query.Set("max_staleness_ms", strconv.FormatInt(o.maxStaleness.Milliseconds(), 10))
	}
	var answer keyAnswer
	body, err := api.getJSON(ctx, client.Request{Method: http.MethodGet, Path: keyPath(key), Query: query}, &answer)
	if err != nil {
		return err
	}
	if o.json {
		return writeLine(out, body)
	}
	value, err := answer.bytes()
	if err != nil {
		return err
	}
	if o.raw {
		_, err := out.Write(value)
		return err
	}
	return writeLine(out, value)
}

type keySetOptions struct {
	client    clientOptions
	json      bool
	ttl       time.Duration
	condition string
	ifVersion uint64
	once      string
}

func newKeySetCommand() *cobra.Command {
	var o keySetOptions
	cmd := &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "Set a key; the value \"-\" is read from standard input",
		Args:  cobra.ExactArgs(2),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			value := []byte(args[1])
			if args[1] == "-" {
				var err error
				if value, err = io.ReadAll(cmd.InOrStdin()); err != nil {
					return fmt.Errorf("read the value: %w", err)
				}
			}
			var ifVersion *uint64
			if cmd.Flags().Changed("if-version") {
				ifVersion = &o.ifVersion
			}
			if err := checkTTL(cmd, o.ttl); err != nil {
				return err
			}
			return keySet(ctx, cmd.OutOrStdout(), o, args[0], value, ifVersion)
		}),
	}
	o.client.register(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print the server's JSON answer")
	cmd.Flags().DurationVar(&o.ttl, "ttl", 0, "let the key expire after this time")
	cmd.Flags().Var(config.Choice(&o.condition, "", "absent", "present"), "if", "set only if the key is absent or present")
	cmd.Flags().Uint64Var(&o.ifVersion, "if-version", 0, "set only if the key has this version; 0: does not exist")
	cmd.Flags().StringVar(&o.once, "once", "", "idempotency key: the same one again changes nothing")
	cmd.MarkFlagsMutuallyExclusive("if", "if-version")
	return cmd
}

// checkTTL tells a lifetime that was given and cannot be from none.
func checkTTL(cmd *cobra.Command, ttl time.Duration) error {
	switch {
	case !cmd.Flags().Changed("ttl"):
		return nil
	case ttl <= 0:
		return withCode(exitUsage, fmt.Errorf("--ttl: %v must be positive", ttl))
	case ttl%time.Millisecond != 0:
		return withCode(exitUsage, fmt.Errorf("--ttl: %v is not a whole number of milliseconds", ttl))
	}
	return nil
}

func keySet(ctx context.Context, out io.Writer, o keySetOptions, key string, value []byte, ifVersion *uint64) error {
	api, err := newAPIClient(o.client)
	if err != nil {
		return err
	}
	body, err := json.Marshal(setBody(o, value, ifVersion))
	if err != nil {
		return err
	}
	var answer keyAnswer
	raw, err := api.getJSON(ctx, client.Request{Method: http.MethodPut, Path: keyPath(key), Body: body, Once: o.once}, &answer)
	if err != nil {
		return err
	}
	if o.json {
		return writeLine(out, raw)
	}
	_, err = fmt.Fprintf(out, "OK version %d\n", answer.Version)
	return err
}

// setBody is the body of PUT /v1/keys/{key}; JSON strings hold UTF-8 only.
func setBody(o keySetOptions, value []byte, ifVersion *uint64) map[string]any {
	body := map[string]any{}
	if utf8.Valid(value) {
		body["value"] = string(value)
	} else {
		body["value_base64"] = base64.StdEncoding.EncodeToString(value)
	}
	if o.ttl > 0 {
		body["ttl_ms"] = o.ttl.Milliseconds()
	}
	if o.condition != "" {
		body["if"] = o.condition
	}
	if ifVersion != nil {
		body["if_version"] = *ifVersion
	}
	return body
}

func newKeyDelCommand() *cobra.Command {
	var o clientOptions
	var asJSON bool
	var ifVersion uint64
	cmd := &cobra.Command{
		Use:   "del KEY",
		Short: "Delete a key",
		Long:  "Delete a key. A key that did not exist ends with exit code 3.",
		Args:  cobra.ExactArgs(1),
		RunE: action(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if cmd.Flags().Changed("if-version") {
				query.Set("if_version", strconv.FormatUint(ifVersion, 10))
			}
			return keyDel(ctx, cmd.OutOrStdout(), o, args[0], query, asJSON)
		}),
	}
	o.register(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the server's JSON answer")
	cmd.Flags().Uint64Var(&ifVersion, "if-version", 0, "delete only if the key has this version")
	return cmd
}

func keyDel(ctx context.Context, out io.Writer, o clientOptions, key string, query url.Values, asJSON bool) error {
	api, err := newAPIClient(o)
	if err != nil {
		return err
	}
	var answer struct {
		Deleted bool `json:"deleted"`
	}
	raw, err := api.getJSON(ctx, client.Request{Method: http.MethodDelete, Path: keyPath(key), Query: query}, &answer)
	if err != nil {
		return err
	}
	if asJSON {
		if err := writeLine(out, raw); err != nil {
			return err
		}
	}
	if !answer.Deleted {
		return withCode(exitNotFound, fmt.Errorf("no such key: %s", key))
	}
	if asJSON {
		return nil
	}
	_, err = fmt.Fprintln(out, "deleted")
	return err
}

// writeLine writes b and a newline unless b ends with one.
func writeLine(out io.Writer, b []byte) error {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		b = append(b[:len(b):len(b)], '\n')
	}
	_, err := out.Write(b)
	return err
}
