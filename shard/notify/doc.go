// Package notify tells those who watch what a replica says of a topic.
package notify
