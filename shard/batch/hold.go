package batch

// What follows lets tests of whole replicas stop large batches at a place where they seldom stop.

// HoldLarge behaves as if a large entry were on its way, until release.
func (p *Packer) HoldLarge() (release func()) {
	p.large <- struct{}{}
	return func() {
		<-p.large
		p.nudge()
	}
}

// LargeWaiting returns how many large batches of other nodes wait.
func (p *Packer) LargeWaiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bulk)
}

// DropLarge answers all of these with an error.
func (p *Packer) DropLarge(why error) {
	p.mu.Lock()
	bulk := p.bulk
	p.bulk = nil
	p.mu.Unlock()
	answer(bulk, why)
}
