package prose

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	word := strings.Repeat("w", 58)
	code := "`" + strings.Repeat("c", 55) + " | d`"
	for text, want := range map[string]string{
		"a\nb\n\nc":                             "a b\n\nc\n",
		word + " " + word + " " + word + "\n":   word + " " + word + "\n" + word + "\n",
		"- " + word + " " + word + " b\n- c\n":  "- " + word + "\n  " + word + " b\n- c\n",
		"- a\n  b\n":                            "- a b\n",
		word + " " + code + " " + word + "\n":   word + "\n" + code + "\n" + word + "\n",
		word + " x " + code + "\n":              word + " x\n" + code + "\n",
		"# " + word + word + word + " x\n":      "# " + word + word + word + " x\n",
		"a\n| " + word + word + word + " | b |": "a\n| " + word + word + word + " | b |\n",
		"```\na\nb\n```\nc\nd\n":                "```\na\nb\n```\nc d\n",
	} {
		if got := Wrap(text); got != want {
			t.Errorf("%q:\n%q, want\n%q", text, got, want)
		}
		if again := Wrap(want); again != want {
			t.Errorf("%q does not stay: %q", want, again)
		}
	}
}
