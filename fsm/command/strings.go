package command

// stringSpecs lists the string commands.
func stringSpecs() []*Spec {
	return []*Spec{
		specSet, specSetNX, specSetEX, specPSetEX, specGetSet, specMSet, specMSetNX,
		specGet, specGetEX, specGetDel, specMGet, specStrlen, specGetRange, specSubstr,
		specAppend, specSetRange,
		specIncr, specDecr, specIncrBy, specDecrBy, specIncrByFloat,
	}
}

// oneKey is the place of the only key of most commands.
var oneKey = KeyRange{First: 1, Last: 1, Step: 1}

// allKeys is a command that takes nothing but keys.
var allKeys = KeyRange{First: 1, Last: -1, Step: 1}
