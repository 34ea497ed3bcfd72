package readme

import (
	"regexp"
	"strconv"
	"strings"
)

// block is a fenced shell block and what the README shows as its output: the
// fenced text block right after it, if there is one.
type block struct {
	line     int
	commands string
	output   string
}

// parseBlocks finds the shell blocks of a Markdown text.
func parseBlocks(markdown string) []block {
	var blocks []block
	var language string
	var body []string
	inside, start := false, 0
	follows := false // a text block now belongs to the last shell block
	for i, line := range strings.Split(markdown, "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case !inside && isFence:
			inside, language, body, start = true, fence, nil, i+1
		case inside && isFence:
			inside = false
			text := strings.Join(body, "\n")
			if language == "text" && follows {
				blocks[len(blocks)-1].output = text
			}
			if follows = language == "sh"; follows {
				blocks = append(blocks, block{line: start, commands: text})
			}
		case inside:
			body = append(body, line)
		case strings.TrimSpace(line) != "":
			follows = false
		}
	}
	return blocks
}

// shiftPorts moves the ports of scripts/cluster by offset, so that the test does
// not meet a cluster that runs on this machine already.
func shiftPorts(commands string, offset int) string {
	port := regexp.MustCompile(`\b[789]00[1-9]\b`)
	return port.ReplaceAllStringFunc(commands, func(match string) string {
		n, err := strconv.Atoi(match)
		if err != nil {
			return match
		}
		return strconv.Itoa(n + offset)
	})
}

// missingLine is the first line of want that got does not have, in order; lines
// of got may come between. Numbers, hexadecimal ids and spaces count as equal,
// and a line "..." stands for anything.
func missingLine(want, got string) (string, bool) {
	lines := strings.Split(got, "\n")
	next := 0
	for line := range strings.SplitSeq(want, "\n") {
		if strings.TrimSpace(line) == "..." || strings.TrimSpace(line) == "" {
			continue
		}
		for next < len(lines) && loose(lines[next]) != loose(line) {
			next++
		}
		if next == len(lines) {
			return line, true
		}
		next++
	}
	return "", false
}

var (
	numbers = regexp.MustCompile(`[0-9]+([.][0-9]+)?`)
	spaces  = regexp.MustCompile(`\s+`)
)

func loose(line string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(numbers.ReplaceAllString(line, "0"), " "))
}
