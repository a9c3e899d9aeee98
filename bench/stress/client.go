package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// A client is one connection, on a socket of its own whose reads block.
type client struct {
	fd      int
	tls     *tls.Conn // nil for cleartext
	buf     []byte
	at, end int
	total   int64 // octets read
	next    frames.StreamID
	block   bytes.Buffer
	enc     *hpack.Encoder
	dec     *hpack.Decoder
}

// patience bounds every system call of a client.
const patience = 30 * time.Second

// A dialer says how a client connects. But for addr and window the zero value of
// each field will do.
type dialer struct {
	addr     string
	from     netip.Addr    // the address that the peer sees
	tls      *tls.Config   // nil for cleartext
	window   uint32        // of the streams and of the connection
	rcvbuf   int           // the receive buffer, in octets; 0 leaves it to the kernel
	patience time.Duration // in place of the constant
}

// dial connects in cleartext with stream and connection windows of window octets,
// and a receive buffer of rcvbuf octets unless that is 0.
func dial(addr string, window uint32, rcvbuf int) (*client, error) {
	return dialer{addr: addr, window: window, rcvbuf: rcvbuf}.dial()
}

// dial connects and sends the preface; over TLS the handshake is over.
func (d dialer) dial() (*client, error) {
	fd, err := d.connect()
	if err != nil {
		return nil, err
	}
	c := &client{fd: fd, buf: make([]byte, 64<<10), next: 1, dec: hpack.NewDecoder(4096, nil)}
	c.enc = hpack.NewEncoder(&c.block)
	if d.tls != nil {
		c.tls = tls.Client(fdConn{fd: fd}, d.tls)
		if err := c.tls.Handshake(); err != nil {
			c.close()
			return nil, err
		}
	}
	b := []byte(h2.Preface)
	b = frames.AppendSettings(b, frames.Setting{ID: frames.SettingInitialWindowSize, Value: d.window})
	b = frames.AppendWindowUpdate(b, frames.WindowUpdate{Increment: d.window - 65535})
	if err := c.write(frames.AppendSettingsAck(b)); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// connect returns a socket that is connected.
func (d dialer) connect() (fd int, err error) {
	ap, err := netip.ParseAddrPort(d.addr)
	if err != nil {
		return 0, err
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, err
	}
	if d.patience == 0 {
		d.patience = patience
	}
	tv := unix.NsecToTimeval(int64(d.patience))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	)
	if d.rcvbuf > 0 {
		// The kernel doubles what it is given, for its own overhead.
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, d.rcvbuf/2))
	}
	if d.from.IsValid() {
		// Ports are chosen when it connects: two connections to different
		// servers may have the same one.
		err = errors.Join(err,
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
			unix.Bind(fd, &unix.SockaddrInet4{Addr: d.from.As4()}))
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})
		if errors.Is(err, unix.EINTR) { // it goes on
			err = connected(fd, d.patience)
		}
	}
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// connected waits for what connect has begun.
func connected(fd int, patience time.Duration) error {
	for end := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(time.Until(end).Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR) && time.Now().Before(end):
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		default:
			errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if errno != 0 {
				err = unix.Errno(errno)
			}
			return err
		}
	}
}

func (c *client) close() { _ = unix.Close(c.fd) }

func (c *client) write(b []byte) (err error) {
	if c.tls != nil {
		_, err = c.tls.Write(b)
	} else {
		_, err = fdConn{fd: c.fd}.Write(b)
	}
	return err
}

// An fdConn is a socket as a net.Conn, which blocks its thread. Of that interface
// it has what crypto/tls calls.
type fdConn struct {
	net.Conn
	fd int
}

func (c fdConn) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(c.fd, b[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func (c fdConn) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(c.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// get sends a request; fields are pairs.
func (c *client) get(path string, fields ...string) (frames.StreamID, error) {
	c.block.Reset()
	all := append([]string{":method", "GET", ":scheme", "http", ":authority", "localhost", ":path", path}, fields...)
	for i := 0; i < len(all); i += 2 {
		if err := c.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
			return 0, err
		}
	}
	id := c.next
	c.next += 2
	b := frames.AppendHeader(nil, frames.Header{
		Length: uint32(c.block.Len()), Type: frames.TypeHeaders,
		Flags: frames.FlagEndHeaders | frames.FlagEndStream, StreamID: id,
	})
	return id, c.write(append(b, c.block.Bytes()...))
}

// fill reads at most n octets, once.
func (c *client) fill(n int) error {
	if c.at > 0 {
		c.end = copy(c.buf, c.buf[c.at:c.end])
		c.at = 0
	}
	var from io.Reader = fdConn{fd: c.fd}
	if c.tls != nil {
		from = c.tls
	}
	m, err := from.Read(c.buf[c.end:min(len(c.buf), c.end+n)])
	if errors.Is(err, io.EOF) {
		err = errors.New("the server closed the connection")
	}
	c.end += m
	c.total += int64(m)
	return err
}

// frame returns the next frame that is complete, if one is.
func (c *client) frame() (h frames.Header, payload []byte, ok bool) {
	h, ok = frames.ParseHeader(c.buf[c.at:c.end])
	end := c.at + frames.HeaderLen + int(h.Length)
	if !ok || end > c.end {
		return h, nil, false
	}
	payload = c.buf[c.at+frames.HeaderLen : end]
	c.at = end
	return h, payload, true
}

// body reads until stream id has ended, and returns its body if it is small.
func (c *client) body(id frames.StreamID) ([]byte, error) {
	var body []byte
	for {
		h, payload, ok := c.frame()
		if !ok {
			if err := c.fill(len(c.buf)); err != nil {
				return nil, err
			}
			continue
		}
		if h.StreamID != id {
			continue
		}
		switch h.Type {
		case frames.TypeRSTStream:
			return nil, fmt.Errorf("stream %d was reset", id)
		case frames.TypeData:
			if len(body) < 1<<18 {
				body = append(body, payload...)
			}
		default:
		}
		if (h.Type == frames.TypeData || h.Type == frames.TypeHeaders) && h.Flags.Has(frames.FlagEndStream) {
			return body, nil
		}
	}
}

// ask gets path and returns its body; fields are pairs.
func (c *client) ask(path string, fields ...string) ([]byte, error) {
	id, err := c.get(path, fields...)
	if err != nil {
		return nil, err
	}
	return c.body(id)
}

// stats asks for what [memory] says.
func (c *client) stats(query string) (map[string]int64, error) { return c.pairs("/mem" + query) }

// pairs asks for a line of name=value pairs.
func (c *client) pairs(path string) (map[string]int64, error) {
	b, err := c.ask(path)
	if err != nil {
		return nil, err
	}
	m := map[string]int64{}
	for pair := range strings.FieldsSeq(string(b)) {
		name, value, _ := strings.Cut(pair, "=")
		if m[name], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, err
		}
	}
	return m, nil
}
