package resp

// parseInline reads a command that is a line of words, as people type it. It
// returns true when the line is not complete.
func (r *Reader) parseInline() (more bool) {
	r.need = 0
	line := r.buf[r.r:r.w]
	end := indexBefore(line, '\n')
	if end > r.lim.MaxInline || (end < 0 && len(line) > r.lim.MaxInline) {
		r.wrong("too big inline request")
		return false
	}
	if end < 0 {
		return true
	}
	next := r.r + end + 1
	if end > 0 && line[end-1] == '\r' {
		end--
	}
	args, ok := splitWords(r.args, line[:end])
	if !ok {
		clear(r.args[len(r.args):cap(r.args)])
		r.wrong("unbalanced quotes in request")
		return false
	}
	r.r = next
	r.ready = len(args) > len(r.args)
	r.pinned = r.pinned || r.ready
	r.args = args
	return false
}

// splitWords appends the words of line to dst, by the rules of Redis's
// sdssplitargs: "double quotes" with \n \r \t \b \a \xHH, 'single quotes' with
// \'; a closing quote must end the word. Words without quotes share line.
func splitWords(dst [][]byte, line []byte) (_ [][]byte, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return dst, true
		}
		word, n, ok := nextWord(line[i:])
		if !ok {
			return dst, false
		}
		dst = append(dst, word)
		i += n
	}
}

// nextWord returns the word at the start of b, and its length there.
func nextWord(b []byte) (word []byte, n int, ok bool) {
	for n < len(b) && !endsWord(b[n]) && b[n] != '"' && b[n] != '\'' {
		n++
	}
	word = b[:n:n]
	for n < len(b) && !endsWord(b[n]) {
		quote := b[n]
		if quote != '"' && quote != '\'' {
			word = append(word, quote)
			n++
			continue
		}
		var used int
		if word, used = unquote(word, b[n+1:], quote); used < 0 {
			return nil, 0, false
		}
		n += 1 + used
		if n < len(b) && !isSpace(b[n]) {
			return nil, 0, false
		}
	}
	if word == nil {
		word = []byte{}
	}
	return word, n, true
}

// unquote appends what stands before the closing quote in b. It returns the
// bytes used with the quote, -1 when there is none.
func unquote(dst, b []byte, quote byte) ([]byte, int) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == quote:
			return dst, i + 1
		case c == '\\' && quote == '"' && i+1 < len(b):
			var used int
			c, used = unescape(b[i+1:])
			i += used
		case c == '\\' && quote == '\'' && i+1 < len(b) && b[i+1] == '\'':
			c = '\''
			i++
		}
		dst = append(dst, c)
	}
	return dst, -1
}

// unescape reads what follows a backslash.
func unescape(b []byte) (c byte, used int) {
	switch b[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'a':
		return '\a', 1
	case 'x':
		if len(b) >= 3 {
			hi, ok1 := hexDigit(b[1])
			lo, ok2 := hexDigit(b[2])
			if ok1 && ok2 {
				return hi<<4 | lo, 3
			}
		}
	}
	return b[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isSpace is C's isspace.
func isSpace(c byte) bool { return c == ' ' || ('\t' <= c && c <= '\r') }

// endsWord: a word goes on over a vertical tab and a form feed, though both
// are skipped before a word.
func endsWord(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
