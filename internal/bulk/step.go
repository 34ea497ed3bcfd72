package bulk

// growth is how many times what has come the memory for a message may become.
const growth = 8

// NextSize returns the next size of a buffer for need bytes of which come are there, at least
// one: what was announced alone claims little. The last of the sizes is exactly need, and the
// others, whose contents are copied, are small beside it.
func NextSize(need, come int) int {
	size := need
	for size > growth*come {
		size = (size + growth - 1) / growth
	}
	return size
}
