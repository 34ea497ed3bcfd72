package resp

import (
	"bytes"
	"math"
)

// tlsHandshake is the first byte of a client that takes this for a port with TLS. It would wait
// for an answer, and its hello for the end of an inline command.
const tlsHandshake = 0x16

// parse goes on with what is in the buffer. It returns true when a command is
// ready or the input is wrong, false when more bytes are needed. All progress
// is kept, so a command that comes in many pieces is parsed once.
func (r *Reader) parse() bool {
	for r.want == 0 {
		if r.r == r.w {
			r.need = 0
			return false
		}
		r.start, r.first = r.r, len(r.args)
		r.size, r.retiredCur = 0, 0
		if r.buf[r.r] == tlsHandshake {
			return !r.wrong("this port does not speak TLS")
		}
		if r.buf[r.r] != '*' {
			more := r.parseInline()
			if r.ready || r.fail != nil || more {
				return !more
			}
			continue // an empty line
		}
		if !r.multibulkHeader() {
			return r.fail != nil
		}
	}
	for r.want > 0 {
		if r.bulk < 0 && !r.bulkHeader() {
			return r.fail != nil
		}
		end := r.r + r.bulk
		if end+2 > r.w {
			r.need = r.bulk + 2
			return false
		}
		r.args = append(r.args, r.buf[r.r:end:end])
		r.pinned = true
		r.r = end + 2 // what the two bytes are does not matter to Redis either
		r.bulk = -1
		r.want--
	}
	r.need = 0
	r.ready = true
	return true
}

// multibulkHeader reads "*N\r\n". A command of no arguments is skipped.
func (r *Reader) multibulkHeader() bool {
	n, used := fastLength(r.buf[r.r+1 : r.w])
	if used == 0 {
		var ok bool
		if n, used, ok = r.slowLength("mbulk"); used == 0 {
			return false
		} else if !ok {
			return r.wrong("invalid multibulk length")
		}
	}
	switch {
	case n > int64(r.lim.MaxArgs):
		return r.wrong("invalid multibulk length")
	case n > unauthMaxArgs && r.restricted:
		return r.wrong("unauthenticated multibulk length")
	}
	r.r += 1 + used
	r.want = int(max(n, 0))
	r.bulk = -1
	return true
}

// bulkHeader reads "$N\r\n".
func (r *Reader) bulkHeader() bool {
	var n int64
	var used int
	if r.r < r.w && r.buf[r.r] == '$' {
		n, used = fastLength(r.buf[r.r+1 : r.w])
	}
	if used == 0 {
		var ok bool
		if n, used, ok = r.slowLength("bulk"); used == 0 {
			return false
		} else if c := r.buf[r.r]; c != '$' {
			return r.wrongType(c)
		} else if !ok {
			return r.wrong("invalid bulk length")
		}
	}
	switch {
	case n < 0 || n > r.lim.MaxBulk:
		return r.wrong("invalid bulk length")
	case n > unauthMaxBulk && r.restricted:
		return r.wrong("unauthenticated bulk length")
	}
	if r.size += n + argBytes; r.size > r.lim.MaxRequest {
		return r.wrong("too big request")
	}
	r.r += 1 + used
	r.bulk = int(n)
	return true
}

// fastLength reads the usual form of a length: up to ten digits and "\r\n".
// used is 0 for every other form.
func fastLength(b []byte) (n int64, used int) {
	i := 0
	for ; i < len(b) && i < 10; i++ {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		n = n*10 + int64(d)
	}
	if i == 0 || i+1 >= len(b) || b[i] != '\r' || (b[0] == '0' && i > 1) {
		return 0, 0
	}
	return n, i + 2
}

// slowLength reads a length in any form. used is 0 when the line is not
// complete, else the bytes after the type; ok tells if it is a number. Redis
// searches the line's end with strchr, so a line with a NUL never ends; and
// it takes any byte for the "\n".
func (r *Reader) slowLength(what string) (n int64, used int, ok bool) {
	r.need = 0
	line := r.buf[r.r:r.w]
	end := indexBefore(line, '\r')
	if end > r.lim.MaxInline || (end < 0 && len(line) > r.lim.MaxInline) {
		r.wrong("too big " + what + " count string")
		return 0, 0, false
	}
	if end < 0 {
		return 0, 0, false
	}
	if end+2 > len(line) {
		return 0, 0, false
	}
	if end > 0 {
		n, ok = strictInt(line[1:end])
	}
	return n, end + 1, ok
}

// indexBefore is the index of c in b, or -1 if there is none before a NUL.
func indexBefore(b []byte, c byte) int {
	i := bytes.IndexByte(b, c)
	if i > 0 && bytes.IndexByte(b[:i], 0) >= 0 {
		return -1
	}
	return i
}

// strictInt reads a number in its only form: no leading zeros, no plus sign.
func strictInt(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	digits := b
	if neg {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || (digits[0] == '0' && len(b) > 1) {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case neg && n == 1<<63:
		return math.MinInt64, true
	case n > math.MaxInt64:
		return 0, false
	case neg:
		return -int64(n), true
	}
	return int64(n), true
}

// wrong makes the error final. It returns false.
func (r *Reader) wrong(text string) bool {
	r.fail = protocolError(text)
	return false
}

func (r *Reader) wrongType(c byte) bool {
	r.fail = &ProtocolError{Text: "ERR Protocol error: expected '$', got '" + string([]byte{c}) + "'"}
	return false
}
