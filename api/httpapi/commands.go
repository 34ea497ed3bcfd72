package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unsafe"

	"github.com/lockstepkv/lockstep/api/clientmem"
	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/resp"
)

// commands is POST /v1/commands: one command as an array of its words, or an
// array of commands, which run in order as one pipeline.
func (a *api) commands(w http.ResponseWriter, r *http.Request) {
	if err := noQuery(r.URL); err != nil {
		failWith(w, err)
		return
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer held.release()
	cmds, several, err := a.decodeCommands(body, held)
	if err == nil {
		err = a.wrapOnce(r, cmds, several, held)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	s := a.session(r, router.WithMemory(held.account()))
	out := a.router.DoAll(r.Context(), s, cmds)
	tellIndex(w, s)
	if !several && out[0].IsError() {
		fail(w, problemOf(out[0]))
		return
	}
	defer a.answering(r, out...)()
	if !several {
		reply(w, http.StatusOK, map[string]any{"result": toJSON(out[0])})
		return
	}
	replyResults(w, out)
}

// replyResults answers with one result at a time: all of them as JSON would take many times what they
// take here.
func replyResults(w http.ResponseWriter, out []resp.Value) {
	startJSON(w, http.StatusOK)
	_, _ = io.WriteString(w, `{"results":[`) // a client that is gone needs no answer
	var text bytes.Buffer
	for i := range out {
		text.Reset()
		if i > 0 {
			text.WriteByte(',')
		}
		encode(&text, toJSON(out[i]))
		if _, err := w.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n"))); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, "]}\n")
}

// commandBytes is what a command takes besides its words: its slice among the others, with the room
// that those grow by, and its reply.
const commandBytes = 2*clientmem.SliceBytes + int64(unsafe.Sizeof(resp.Value{}))

// decodeCommands reads one command or several.
func (a *api) decodeCommands(body []byte, held *holding) (cmds []command.Args, several bool, err error) {
	body = bytes.TrimSpace(body)
	if !isArray(body) {
		return nil, false, badRequest("wrong_type", "the body must be a command, as an array of its words, or an array of commands")
	}
	for e := range elements(body) {
		if len(cmds) == 0 && !isArray(e) {
			args, err := a.decodeCommand(body, held)
			return []command.Args{args}, false, err
		}
		if !isArray(e) {
			return nil, true, badRequest("wrong_type", "each command must be an array of its words")
		}
		args, err := a.decodeCommand(e, held)
		if err != nil {
			return nil, true, err
		}
		cmds = append(cmds, args)
	}
	if len(cmds) == 0 {
		return nil, false, badRequest("empty_command", "there is no command")
	}
	return cmds, true, nil
}

// decodeCommand reads a command, which is an array. What its words take is counted before.
func (a *api) decodeCommand(words json.RawMessage, held *holding) (command.Args, error) {
	n := countElements(words)
	if n == 0 {
		return nil, badRequest("empty_command", "a command has no words")
	}
	if err := held.decoded(commandBytes + clientmem.Alloc(clientmem.SliceBytes*n)); err != nil {
		return nil, err
	}
	args := make(command.Args, 0, n)
	for word := range elements(words) {
		b, err := argument(word, held)
		if err != nil {
			return nil, err
		}
		if int64(len(b)) > a.maxRaw {
			return nil, tooLarge(a.maxRaw)
		}
		args = append(args, b)
	}
	return args, nil
}

// wrapOnce puts each write under the request's Idempotency-Key. The commands of
// a batch have the key with their position behind a control character, which no
// header can contain.
func (a *api) wrapOnce(r *http.Request, cmds []command.Args, several bool, held *holding) error {
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
		case a.router.OpensTransaction(args):
			return badRequest("bad_idempotency_key", "a transaction takes no Idempotency-Key")
		case !a.router.IsWrite(args):
			continue // a read does no harm when it runs again
		case !a.router.IsKeyWrite(args):
			// To run it regardless would be to run it again at every retry.
			return badRequest("bad_idempotency_key", strings.ToUpper(string(args[0]))+" takes no Idempotency-Key: only a write to keys is remembered")
		}
		if err := held.decoded(clientmem.Alloc(clientmem.SliceBytes*(len(args)+2)) + clientmem.Alloc(len(id)+positionBytes)); err != nil {
			return err
		}
		one := id
		if several {
			one += "\x00" + strconv.Itoa(i)
		}
		cmds[i] = append(command.Args{[]byte("ONCE"), []byte(one)}, args...)
	}
	return nil
}
