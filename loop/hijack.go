package loop

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/internal/message"
)

// Errors of Hijack, beyond those of net/http.
var (
	errHijackBody = errors.New("loop: Hijack before the request body has ended")
	errHijackLate = errors.New("loop: Hijack behind the beginning of a response")
)

// An httpCallHTTP1 is an [httpCall] over HTTP/1.1: it has Hijack.
type httpCallHTTP1 struct{ *httpCall }

var _ http.Hijacker = httpCallHTTP1{}

// Hijack gives the handler the connection, which is its from now on, also once it has
// returned: what the client sends is read from it as it comes, and what is written to
// it leaves as it is. The handler is to close it. The end of what the client sends ends
// the connection both ways.
func (c httpCallHTTP1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.returned:
		return nil, nil, errReturned
	case c.hijacked.Load() != nil:
		return nil, nil, http.ErrHijacked
	case c.out != nil || c.status != 0 && c.status != http.StatusSwitchingProtocols:
		return nil, nil, errHijackLate
	}
	if err := c.hijack(); err != nil {
		return nil, nil, err
	}
	nc := c.hijacked.Load()
	return nc, bufio.NewReadWriter(bufio.NewReader(nc), bufio.NewWriter(nc)), nil
}

// hijack has the loop make the connection one stream of octets, and waits until it
// has. mu is held.
func (c *httpCall) hijack() error {
	nc := &hijackedConn{
		of: c.conn,
		r:  newBodyReader(c.of),
		w:  &Writer{of: c.of, room: make(chan struct{}, 1), gone: make(chan struct{}), left: -1},
	}
	nc.w.wake = nc.w.resume
	if c.status == http.StatusSwitchingProtocols {
		nc.w.buf.write(c.scratch.body)
	}
	done := make(chan error, 1)
	if err := c.of.loop.post(func() { done <- nc.begin(c) }); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	c.hijacked.Store(nc)
	c.readLimit.stop()
	c.writeLimit.stop()
	return nil
}

// begin takes the connection from the exchange of call, on the loop.
func (nc *hijackedConn) begin(call *httpCall) error {
	if call.of.isOver() {
		return ErrClosed
	}
	x := call.of.x
	if !x.conn.protocol.requestEnded(x) || x.body.hold.on {
		return errHijackBody
	}
	if err := x.conn.h1.Hijack(x.h1); err != nil {
		return err
	}
	x.conn.loop.touch(x.conn)
	x.answered, x.status = true, http.StatusSwitchingProtocols
	x.handler = nil // the end of the request is not the handler's any more
	x.endBody()
	x.body.each, x.body.owes = nc.r.take, true
	return x.conn.protocol.writeSource(x, (*writerSource)(nc.w))
}

// appendSwitch appends the header section of an answer that switches protocols, with
// the fields that the handler has set, to dst.
func (c *httpCall) appendSwitch(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"...)
	names := make([]string, 0, len(c.header))
	for name := range c.header {
		names = append(names, name)
	}
	slices.Sort(names)
	if _, ok := c.header["Date"]; !ok {
		dst = append(dst, "Date: "...)
		dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
		dst = append(dst, "\r\n"...)
	}
	for _, name := range names {
		if !message.IsFieldName(lowerName(name)) || name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range c.header[name] {
			if v = trimValue(v); message.IsFieldValue(v) {
				dst = append(dst, name+": "+v+"\r\n"...)
			}
		}
	}
	return append(dst, "\r\n"...)
}

// A hijackedConn is the connection that a handler has taken over. Its exchange lives
// until it is closed: limits and a drain hold for it as for any that lives long.
type hijackedConn struct {
	of     *conn // for what never changes of it
	r      *BodyReader
	w      *Writer
	closed atomic.Bool

	readLimit, writeLimit deadline
	reading, writing      sync.Mutex // by one at a time
}

var _ net.Conn = (*hijackedConn)(nil)

// Read reads what has come. [io.EOF] is the end of what the client has sent.
func (nc *hijackedConn) Read(p []byte) (int, error) {
	nc.reading.Lock()
	defer nc.reading.Unlock()
	if err := nc.readLimit.Err(); err != nil {
		return 0, nc.errorOf("read", err)
	}
	n, err := nc.r.ReadContext(&nc.readLimit, p)
	if err != nil {
		err = nc.errorOf("read", err)
	}
	return n, err
}

// Write writes p, which it copies, and waits while there is no room for it.
func (nc *hijackedConn) Write(p []byte) (int, error) {
	nc.writing.Lock()
	defer nc.writing.Unlock()
	err := nc.writeLimit.Err()
	n := 0
	if err == nil {
		n, err = nc.w.WriteContext(&nc.writeLimit, p)
	}
	if err == nil {
		err = nc.w.Flush()
	}
	if err != nil {
		err = nc.errorOf("write", err)
	}
	return n, err
}

// errorOf says err in the words of package net.
func (nc *hijackedConn) errorOf(op string, err error) error {
	switch {
	case nc.closed.Load():
		err = net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
	case op == "read":
		return io.EOF
	default:
		err = syscall.EPIPE
	}
	return &net.OpError{Op: op, Net: nc.LocalAddr().Network(), Source: nc.LocalAddr(), Addr: nc.RemoteAddr(), Err: err}
}

// Close sends what was written and closes the connection; it does not wait for that.
// Calls of Read and Write that wait return.
func (nc *hijackedConn) Close() error {
	if nc.closed.Swap(true) {
		return nc.errorOf("close", net.ErrClosed)
	}
	_ = nc.r.Close()
	_ = nc.w.Close()
	past := time.Unix(1, 0)
	nc.readLimit.set(past, nil)
	nc.writeLimit.set(past, nil)
	return nil
}

// LocalAddr returns the address that the client has connected to.
func (nc *hijackedConn) LocalAddr() net.Addr { return nc.of.localAddr() }

// RemoteAddr returns the client's address.
func (nc *hijackedConn) RemoteAddr() net.Addr {
	if nc.of.remote.IsValid() {
		return net.TCPAddrFromAddrPort(nc.of.remote)
	}
	return &net.UnixAddr{Net: "unix"}
}

// SetDeadline is [net.Conn.SetDeadline].
func (nc *hijackedConn) SetDeadline(at time.Time) error {
	if err := nc.SetReadDeadline(at); err != nil {
		return err
	}
	return nc.SetWriteDeadline(at)
}

// SetReadDeadline is [net.Conn.SetReadDeadline].
func (nc *hijackedConn) SetReadDeadline(at time.Time) error { return nc.setLimit(&nc.readLimit, at) }

// SetWriteDeadline is [net.Conn.SetWriteDeadline].
func (nc *hijackedConn) SetWriteDeadline(at time.Time) error { return nc.setLimit(&nc.writeLimit, at) }

func (nc *hijackedConn) setLimit(d *deadline, at time.Time) error {
	if nc.closed.Load() {
		return nc.errorOf("set", net.ErrClosed)
	}
	d.renew(at)
	if nc.closed.Load() { // meanwhile
		d.set(time.Unix(1, 0), nil)
	}
	return nil
}
