package hll

import (
	"fmt"
	"strings"
)

// Runs describes the runs of a sparse sketch, in Redis's words: z and Z for zeros in one and in
// two bytes, v for a rank and how many have it.
func (s *Sketch) Runs() string {
	var words []string
	for p := s.b[headBytes:]; len(p) > 0; {
		r := runAt(p)
		switch {
		case r.rank > 0:
			words = append(words, fmt.Sprintf("v:%d,%d", r.rank, r.n))
		case r.size == 1:
			words = append(words, fmt.Sprintf("z:%d", r.n))
		default:
			words = append(words, fmt.Sprintf("Z:%d", r.n))
		}
		p = p[min(r.size, len(p)):]
	}
	return strings.Join(words, " ")
}

// selfTestElements is how many elements SelfTest counts. The standard error is 0.81 %.
const selfTestElements = 3000

// SelfTest reports whether sketches of both encodings say the same, and about what is right.
func SelfTest() bool {
	a, b := New(), New()
	if b.MakeDense() != nil {
		return false
	}
	for i := range selfTestElements {
		element := fmt.Appendf(nil, "element-%d", i)
		did, err := a.Add(element)
		also, _ := b.Add(element)
		if err != nil || did != also {
			return false
		}
	}
	n, err := a.Count()
	m, _ := b.Count()
	return err == nil && n == m && n > selfTestElements*95/100 && n < selfTestElements*105/100
}
