package command

// Flags tell how a command is to be treated. The names are those of Redis's
// COMMAND INFO where Redis has the flag.
type Flags uint32

const (
	Write        Flags = 1 << iota // goes through the log
	ReadOnly                       // answered from memory
	DenyOOM                        // refused when memory is full and nothing can be evicted
	Admin                          // changes the server
	Fast                           // O(1) or O(log N)
	NoScript                       // not from a script
	Loading                        // allowed while a node loads its data
	StaleOK                        // Redis's stale: allowed while there is no leader
	NoAuth                         // allowed before AUTH
	NoMulti                        // not within MULTI
	MovableKeys                    // keys cannot be told from Keys alone: see Spec.FindKeys
	SkipSlowlog                    // may carry secrets
	AllShards                      // concerns every shard: the router asks each and merges (KEYS, DBSIZE, FLUSHALL, SCAN, RANDOMKEY)
	Connection                     // run by the router: state of one connection or of the server; has no Parse
	NoQueue                        // runs at once even within MULTI (EXEC, DISCARD, MULTI, WATCH, RESET, QUIT)
	MayReplicate                   // Redis's may_replicate
	PubSub                         // Redis's pubsub
	Blocking                       // Redis's blocking
	AllowBusy                      // Redis's allow_busy
	Owned                          // the log entry says which client asked
	Internal                       // logged by nodes; no command of clients
	Frees                          // frees memory or ends a lock, and is short: allowed while disks are full
	Walks                          // looks at many keys or locks under the shard's lock: readers make room between two such
	OnLocks                        // works on locks, not on keys: what it does cannot be taken back with the store
	Composite                      // holds whole commands among its words
	Deduplicates                   // runs the command within at most once: a retry is safe
	OpensQueue                     // begins a transaction: what comes next is queued (MULTI)
	RunsQueue                      // runs what was queued (EXEC)
	Help                           // explains its container and touches no key
	ClusterOnly                    // refused where clients are not shown a cluster
)

// Has reports whether all of f are set.
func (fl Flags) Has(f Flags) bool { return fl&f == f }

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
