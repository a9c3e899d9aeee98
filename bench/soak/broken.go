package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// A rawConn is a connection that nobody speaks HTTP on for us.
type rawConn struct {
	net.Conn
	r *bufio.Reader
}

func (l *load) dial(ctx context.Context, addr string) (*rawConn, error) {
	c, err := dialer().DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return &rawConn{c, bufio.NewReader(c)}, nil
}

// expectEnd waits for the server to end the connection.
func (c *rawConn) expectEnd() error {
	n, err := io.Copy(io.Discard, c.r)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("the server does not end the connection")
	}
	if n > 0 {
		return fmt.Errorf("%d octets behind the answer", n)
	}
	return nil // a reset is an end, too
}

// reset takes the beginning of a large answer, and no more: RST_STREAM over HTTP/2.
func (l *load) reset(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := pick(l.sites)
	f := s.files[larger]
	resp, err := next(l, l.keep).do(ctx, get(s, f))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, http.StatusOK); err != nil {
		return err
	}
	n := rand.IntN(512 << 10)
	return same(io.LimitReader(resp.Body, int64(n)), f.body[:n], nil)
}

var errAborted = errors.New("aborted")

// abortUpload ends an upload in its midst.
func (l *load) abortUpload(ctx context.Context) error {
	body := io.MultiReader(strings.NewReader(string(uploaded[:rand.IntN(64<<10)])), failing{})
	resp, err := next(l, l.keep).do(ctx, request{method: http.MethodPost, host: pick(hosts), path: "/bench/upload", body: body, length: -1})
	if err == nil {
		_ = resp.Body.Close()
		if err := checkStatus(resp, http.StatusOK); err != nil {
			return err
		}
		return fmt.Errorf("an upload without an end is answered: %s", resp.Status)
	}
	if !errors.Is(err, errAborted) {
		return err
	}
	return nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errAborted }

// vanish closes a connection in the midst of an answer that it does not read.
func (l *load) vanish(ctx context.Context) error {
	c, err := l.dial(ctx, l.at.cleartext)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /larger.bin HTTP/1.1\r\nHost: %s\r\n\r\n", pick(hosts)); err != nil {
		return err
	}
	if _, err := c.r.ReadByte(); err != nil {
		return err
	}
	if rand.IntN(2) == 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

// stall begins something and does not go on. The server has to end it.
func (l *load) stall(ctx context.Context) error {
	addr, begin := l.at.cleartext, ""
	switch rand.IntN(7) {
	case 0: // nothing is said
	case 1:
		begin = "GET /small.txt HTTP/1.1\r\nHost: a.t"
	case 2:
		begin = "PRI * HTTP/2.0\r\n\r\nSM"
	case 3: // the preface, and a frame that is not whole
		begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00"
	case 4:
		addr = l.at.tls
	case 5: // a record of 512 octets, of which some come
		addr, begin = l.at.tls, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	case 6:
		return l.stallHandshake(ctx)
	}
	c, err := l.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, begin); err != nil {
		return err
	}
	return l.outlast(c)
}

// outlast waits for the server to end a connection. In a short run it does not wait so
// long.
func (l *load) outlast(c *rawConn) error {
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-l.ending:
			_ = c.Close()
		case <-over:
		}
	}()
	_, err := io.Copy(io.Discard, c.r)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the server leaves a connection alone that has stalled for %v", patience)
	}
	return nil
}

// stallHandshake sends a ClientHello and does not go on.
func (l *load) stallHandshake(ctx context.Context) error {
	c, err := l.dial(ctx, l.at.tls)
	if err != nil {
		return err
	}
	defer c.Close()
	mute := &muteConn{Conn: c.Conn}
	// It fails at the first octet that it wants to read.
	_ = tls.Client(mute, &tls.Config{RootCAs: l.trust(), ServerName: pick(hosts), NextProtos: []string{"h2"}}).HandshakeContext(ctx)
	return l.outlast(c)
}

// A muteConn hears nothing.
type muteConn struct{ net.Conn }

func (muteConn) Read([]byte) (int, error) { return 0, io.EOF }
func (muteConn) Close() error             { return nil }

// attacksOf lists what bench/attack knows.
func attacksOf(ctx context.Context, program string) ([]string, error) {
	out, err := exec.CommandContext(ctx, program, "-list").Output()
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name, _, ok := strings.Cut(line, " "); ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("bench/attack knows no attack")
	}
	return names, nil
}

// attackFor is how long an attack goes on: a moment.
const attackFor = 150 * time.Millisecond

// attackOnce makes the next attack for a moment.
func (l *load) attackOnce(ctx context.Context) error {
	name := l.attacks[int(l.attack.Add(1))%len(l.attacks)]
	l.watch.attacked(name)
	defer l.watch.attackEnds()
	out, err := exec.CommandContext(ctx, l.attacker, "-as", name, "-tls", l.at.tls, "-cleartext", l.at.cleartext, "-for", attackFor.String()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
