package command

// Names returns the flags that Redis's COMMAND INFO has a word for, in those words.
func (fl Flags) Names() []string {
	var names []string
	for _, f := range []struct {
		flag Flags
		name string
	}{
		{Write, "write"},
		{ReadOnly, "readonly"},
		{DenyOOM, "denyoom"},
		{Admin, "admin"},
		{PubSub, "pubsub"},
		{NoScript, "noscript"},
		{Blocking, "blocking"},
		{Loading, "loading"},
		{StaleOK, "stale"},
		{SkipSlowlog, "skip_slowlog"},
		{Fast, "fast"},
		{NoAuth, "no_auth"},
		{MayReplicate, "may_replicate"},
		{NoMulti, "no_multi"},
		{MovableKeys, "movablekeys"},
		{AllowBusy, "allow_busy"},
	} {
		if fl.Has(f.flag) {
			names = append(names, f.name)
		}
	}
	return names
}
