package command

import "math/big"

// Float is what a holds, for tests.
func (a Extended) Float() *big.Float { return a.x }
