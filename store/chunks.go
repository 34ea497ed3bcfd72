package store

// chunks is a growing array whose growth never copies what it holds, so that
// one insertion into a large index is as fast as any other.
type chunks[T any] struct {
	parts []*[chunkLen]T
	n     int
}

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

func (c *chunks[T]) len() int { return c.n }

func (c *chunks[T]) at(i int) *T { return &c.parts[i>>chunkBits][i&(chunkLen-1)] }

func (c *chunks[T]) push(v T) {
	if c.n == len(c.parts)*chunkLen {
		c.parts = append(c.parts, new([chunkLen]T))
	}
	*c.at(c.n) = v
	c.n++
}

// pop drops the last element, and memory that is no longer needed. One empty
// chunk is kept so that a length that swings around its edge costs nothing.
func (c *chunks[T]) pop() {
	c.n--
	var zero T
	*c.at(c.n) = zero
	if spare := len(c.parts) - 2; spare >= 0 && c.n <= spare*chunkLen {
		c.parts[len(c.parts)-1] = nil
		c.parts = c.parts[:len(c.parts)-1]
	}
}
