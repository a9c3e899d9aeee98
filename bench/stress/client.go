package main

import (
	"bytes"
	"errors"
	"fmt"
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

// dial connects with stream and connection windows of window octets, and a
// receive buffer of rcvbuf octets unless that is 0.
func dial(addr string, window uint32, rcvbuf int) (*client, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	tv := unix.NsecToTimeval(int64(patience))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	)
	if rcvbuf > 0 {
		// The kernel doubles what it is given, for its own overhead.
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvbuf/2))
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	c := &client{fd: fd, buf: make([]byte, 64<<10), next: 1, dec: hpack.NewDecoder(4096, nil)}
	c.enc = hpack.NewEncoder(&c.block)
	b := []byte(h2.Preface)
	b = frames.AppendSettings(b, frames.Setting{ID: frames.SettingInitialWindowSize, Value: window})
	b = frames.AppendWindowUpdate(b, frames.WindowUpdate{Increment: window - 65535})
	return c, c.write(frames.AppendSettingsAck(b))
}

func (c *client) close() { _ = unix.Close(c.fd) }

func (c *client) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(c.fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
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
	for {
		m, err := unix.Read(c.fd, c.buf[c.end:min(len(c.buf), c.end+n)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && m == 0 {
			err = errors.New("the server closed the connection")
		}
		if err != nil {
			return err
		}
		c.end += m
		c.total += int64(m)
		return nil
	}
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
			if len(body) < 4096 {
				body = append(body, payload...)
			}
		default:
		}
		if (h.Type == frames.TypeData || h.Type == frames.TypeHeaders) && h.Flags.Has(frames.FlagEndStream) {
			return body, nil
		}
	}
}

// ask gets path and returns its body.
func (c *client) ask(path string) ([]byte, error) {
	id, err := c.get(path)
	if err != nil {
		return nil, err
	}
	return c.body(id)
}

// stats asks for what [memory] says.
func (c *client) stats(query string) (map[string]int64, error) {
	b, err := c.ask("/mem" + query)
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
