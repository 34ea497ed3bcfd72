// Package prose wraps the text of generated Markdown; it is for the tests that generate it.
package prose

import "strings"

// Width is how many bytes a line of prose may have.
const Width = 118

// Wrap breaks the lines of paragraphs and list items anew, at most Width long where words
// allow. What is in backquotes stays on one line. Tables, headings, and code between
// fences stay as they are.
func Wrap(markdown string) string {
	var w wrapper
	fenced := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimSuffix(line, "\n")
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence || fenced, line == "", line[0] == '|', line[0] == '#':
			w.end()
			w.out.WriteString(line + "\n")
			fenced = fenced != fence
		case strings.HasPrefix(line, "- "):
			w.end()
			w.words, w.indent = words(line), "  "
		default:
			w.words = append(w.words, words(line)...)
		}
	}
	w.end()
	return w.out.String()
}

// wrapper holds the paragraph that is being read.
type wrapper struct {
	out    strings.Builder
	words  []string
	indent string // of all lines but the first
}

// end writes the paragraph.
func (w *wrapper) end() {
	length := 0
	for i, word := range w.words {
		switch {
		case i == 0:
		case length+1+len(word) > Width:
			w.out.WriteString("\n" + w.indent)
			length = len(w.indent)
		default:
			w.out.WriteByte(' ')
			length++
		}
		w.out.WriteString(word)
		length += len(word)
	}
	if len(w.words) > 0 {
		w.out.WriteByte('\n')
	}
	w.words, w.indent = nil, ""
}

// words splits a line at its spaces, other than those in backquotes.
func words(line string) (list []string) {
	open := false
	for _, word := range strings.Fields(line) {
		if open {
			list[len(list)-1] += " " + word
		} else {
			list = append(list, word)
		}
		if strings.Count(word, "`")%2 == 1 {
			open = !open
		}
	}
	return list
}
