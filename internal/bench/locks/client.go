package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience bounds every wait for a reply.
const patience = time.Minute

// client is a connection to a node.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReader(conn)}, nil
}

// dialAll opens n connections, spread evenly over the nodes.
func dialAll(endpoints []string, n int) ([]*client, error) {
	list := make([]*client, n)
	for i := range list {
		var err error
		if list[i], err = dial(endpoints[i%len(endpoints)]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func closeAll(list []*client) {
	for _, c := range list {
		_ = c.conn.Close()
	}
}

func (c *client) send(args ...string) error {
	c.out = fmt.Appendf(c.out[:0], "*%d\r\n", len(args))
	for _, a := range args {
		c.out = fmt.Appendf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(c.out)
	return err
}

// reply reads a reply: its texts and numbers in order, none for a null. Of RESP
// that is what commands on locks answer.
func (c *client) reply() ([]string, error) {
	line, err := c.line()
	if err == nil && line == "" {
		err = fmt.Errorf("the server answers an empty line")
	}
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case ':', '+':
		return []string{rest}, nil
	case '-':
		return nil, fmt.Errorf("the server answers %s", rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return nil, err
	}
	if kind == '$' {
		body, err := c.line() // none has line breaks
		return []string{body}, err
	}
	var all []string
	for range n {
		part, err := c.reply()
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

func (c *client) line() (string, error) {
	line, err := c.in.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

func (c *client) do(args ...string) ([]string, error) {
	if err := c.send(args...); err != nil {
		return nil, err
	}
	return c.reply()
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// grant reads the reply to LOCK.
func (c *client) grant() (token string, fence int64, err error) {
	parts, err := c.reply()
	switch {
	case err != nil:
		return "", 0, err
	case len(parts) != 2:
		return "", 0, fmt.Errorf("a lock was not got")
	}
	fence, err = strconv.ParseInt(parts[1], 10, 64)
	return parts[0], fence, err
}

func (c *client) lock(name string, ttl time.Duration) (token string, err error) {
	if err := c.send("LOCK", name, millis(ttl)); err != nil {
		return "", err
	}
	token, _, err = c.grant()
	return token, err
}

// yes sends a command that must be answered with 1.
func (c *client) yes(args ...string) error {
	parts, err := c.do(args...)
	if err == nil && (len(parts) != 1 || parts[0] != "1") {
		err = fmt.Errorf("%s %s was answered with %v", args[0], args[1], parts)
	}
	return err
}
