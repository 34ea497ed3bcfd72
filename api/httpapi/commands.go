package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/fsm/command"
)

// commands is POST /v1/commands: one command as an array of its words, or an
// array of commands, which run in order as one pipeline.
func (a *api) commands(w http.ResponseWriter, r *http.Request) {
	if err := noQuery(r.URL); err != nil {
		failWith(w, err)
		return
	}
	body, release, err := a.readJSON(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer release()
	cmds, several, err := a.decodeCommands(body)
	if err == nil {
		err = a.wrapOnce(r, cmds, several)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	s := a.session(r)
	out := a.router.DoAll(r.Context(), s, cmds)
	tellIndex(w, s)
	if several {
		results := make([]any, len(out))
		for i := range out {
			results[i] = toJSON(out[i])
		}
		reply(w, http.StatusOK, map[string]any{"results": results})
		return
	}
	if out[0].IsError() {
		fail(w, problemOf(out[0]))
		return
	}
	reply(w, http.StatusOK, map[string]any{"result": toJSON(out[0])})
}

// decodeCommands reads one command or several.
func (a *api) decodeCommands(body []byte) (cmds []command.Args, several bool, err error) {
	var elems []json.RawMessage
	if json.Unmarshal(body, &elems) != nil || elems == nil {
		return nil, false, badRequest("wrong_type", "the body must be a command, as an array of its words, or an array of commands")
	}
	if len(elems) == 0 {
		return nil, false, badRequest("empty_command", "there is no command")
	}
	if elems[0][0] != '[' {
		args, err := a.decodeCommand(elems)
		return []command.Args{args}, false, err
	}
	for _, e := range elems {
		var words []json.RawMessage
		if json.Unmarshal(e, &words) != nil || words == nil {
			return nil, true, badRequest("wrong_type", "each command must be an array of its words")
		}
		args, err := a.decodeCommand(words)
		if err != nil {
			return nil, true, err
		}
		cmds = append(cmds, args)
	}
	return cmds, true, nil
}

func (a *api) decodeCommand(words []json.RawMessage) (command.Args, error) {
	if len(words) == 0 {
		return nil, badRequest("empty_command", "a command has no words")
	}
	args := make(command.Args, len(words))
	for i, wd := range words {
		b, err := argument(bytes.TrimSpace(wd))
		if err != nil {
			return nil, err
		}
		if int64(len(b)) > a.maxRaw {
			return nil, tooLarge(a.maxRaw)
		}
		args[i] = b
	}
	return args, nil
}

// wrapOnce puts each write under the request's Idempotency-Key. The commands of
// a batch have the key with their position behind a control character, which no
// header can contain.
func (a *api) wrapOnce(r *http.Request, cmds []command.Args, several bool) error {
	const positionBytes = 16
	longest := maxIdempotencyKey
	if several {
		longest -= positionBytes
	}
	id, ok, err := idempotencyKey(r, longest)
	if err != nil || !ok {
		return err
	}
	for i, args := range cmds {
		switch {
		case strings.EqualFold(string(args[0]), "MULTI"):
			return badRequest("bad_idempotency_key", "a transaction takes no Idempotency-Key")
		case !a.router.IsWrite(args):
			continue // a read does no harm when it runs again
		case !a.router.IsKeyWrite(args):
			// To run it regardless would be to run it again at every retry.
			return badRequest("bad_idempotency_key", strings.ToUpper(string(args[0]))+" takes no Idempotency-Key: only a write to keys is remembered")
		}
		one := id
		if several {
			one += "\x00" + strconv.Itoa(i)
		}
		cmds[i] = append(command.Args{[]byte("ONCE"), []byte(one)}, args...)
	}
	return nil
}
