// Package elle checks that transactions on lists are strictly serializable, in
// the way of
//
//	Kyle Kingsbury and Peter Alvaro: "Elle: Inferring Isolation Anomalies from
//	Experimental Observations". Proceedings of the VLDB Endowment 14(3), 2020,
//
// with the anomalies of Atul Adya's thesis "Weak Consistency" (MIT, 1999).
//
// # Idea
//
// To look for an order of all transactions that explains all answers is as hard
// as any search. But if objects are chosen so that a value tells its own past,
// most of the order can be read off. Lists to which each word is appended once
// are such objects: a read of [1 2 3] proves that the key had the versions [],
// [1], [1 2], [1 2 3] in this order, and which transaction made each (words are
// unique, so a word is recoverable to its append). From the longest list seen
// of each key follow the dependencies between transactions that happened:
//
//	ww  B appended the word right after A's;
//	wr  the last word that B read is A's;
//	rw  A read the list up to the word right before B's (an anti-dependency).
//
// Every serial order must keep them, so a cycle of them is a proof that there
// is none. For strict serializability two more kinds of edges are added:
//
//	process    the same client did A, then B;
//	real-time  A returned before B was called.
//
// # What is found
//
//	G0        a cycle of ww edges only: dirty writes
//	G1a       a read of a failed transaction's append: aborted read
//	G1b       a read that ends in the middle of a transaction's appends
//	G1c       a cycle of ww and wr edges: circular flow of information
//	G-single  a cycle with exactly one rw edge: read skew, lost update, and a
//	          read that missed an acknowledged append (with a real-time edge)
//	G2-item   a cycle with several rw edges: write skew, long fork
//
// A cycle that needs process or real-time edges has that in its name
// (G-single-realtime is a stale read: serializable, but not strictly so).
// Besides, lists are judged without any graph: a transaction that contradicts
// itself (internal), two reads of which none is a prefix of the other
// (incompatible-order), a word twice in a list (duplicate-elements), and a word
// that nobody appended (phantom).
//
// Cycles are found by strongly connected components (Tarjan, "Depth-first
// search and linear graph algorithms", SIAM J. Comput. 1972), then by breadth
// first search for a short one of each class. Every report names why each
// transaction comes before the next.
//
// # In doubt
//
// A transaction in doubt takes part when a read saw one of its words: then it
// happened, and all of its words must become visible together. It has no end,
// so no real-time edge leaves it. One that nobody saw is left out. A failed
// transaction must never be seen.
//
// # Appends that nobody saw
//
// An acknowledged append that is in no list read comes after all words that
// were seen, since lists only grow. So whoever read the longest version comes
// before it (rw). That is how a lost append is found: the reader was called
// after the append returned, and yet comes before it.
//
// # Cost and limits
//
// Edges are linear in the size of the history: real time is a chain of one node
// for each moment of a return, instead of an edge for each ordered pair. Which
// class a cycle is reported as depends on a bounded search; that there is a
// cycle does not. The check is sound (each report is a real contradiction); it
// is complete as far as the versions were read, so a run should end with reads
// of all lists.
package elle
