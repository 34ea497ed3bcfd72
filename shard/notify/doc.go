// Package notify tells those who watch what a replica says of a topic, as soon as that may be told: what
// a client is told unasked counts as an answer, so the rule of reads holds (Told).
package notify
