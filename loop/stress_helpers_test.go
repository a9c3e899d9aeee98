package loop

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// stressPatience is how long anything may take that is to happen at once.
const stressPatience = 2 * time.Minute

// stressServe runs a server with the routes that register adds, on one loop
// unless cfg says otherwise, and ends it with the test.
func stressServe(t testing.TB, cfg Config, register func(*Server)) *Server {
	t.Helper()
	if cfg.Listeners == nil {
		cfg.Listeners = []Listener{{Address: "127.0.0.1:0"}}
	}
	if cfg.Loops == 0 {
		cfg.Loops = 1
	}
	if cfg.ShedDelay == 0 {
		cfg.ShedDelay = -1 // a slow machine is no reason to refuse a request
	}
	if cfg.Logger == nil {
		log := zerolog.Nop()
		cfg.Logger = &log
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	register(srv)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(stressPatience):
			t.Error("Run has not returned after its context has ended")
		}
	})
	stressWait(t, "the loops run", func() bool { return srv.runningLoops() != nil })
	return srv
}

// stressOnLoop runs f on a loop of srv and waits for it.
func stressOnLoop(t testing.TB, srv *Server, loop int, f func(l *eventLoop)) {
	t.Helper()
	done := make(chan struct{})
	l := srv.loops[loop]
	err := l.post(func() {
		defer close(done)
		f(l)
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(stressPatience):
		t.Fatal("the loop has not run a task")
	}
}

// stressConnOf returns the server's side of p.
func stressConnOf(t testing.TB, srv *Server, p *stressPeer) *conn {
	t.Helper()
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		t.Fatal(err)
	}
	return stressConnFrom(t, srv, uint16(sa.(*unix.SockaddrInet4).Port))
}

// stressConnFrom returns the connection of the client that has port.
func stressConnFrom(t testing.TB, srv *Server, port uint16) (c *conn) {
	t.Helper()
	for i := range srv.loops {
		stressOnLoop(t, srv, i, func(l *eventLoop) {
			for o := l.conns.head; o != nil; o = o.next {
				if o.remote.Port() == port {
					c = o
				}
			}
		})
	}
	if c == nil {
		t.Fatal("no loop has the connection")
	}
	return c
}

// stressWait polls cond until it holds.
func stressWait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(stressPatience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// A stressPeer is a client that owns its socket: system calls block, and
// nothing is allocated unless it is said.
type stressPeer struct {
	t      testing.TB
	fd     int
	buf    []byte // received; buf[at:end] is yet to be looked at
	at     int
	end    int
	nextID frames.StreamID
	block  bytes.Buffer
	enc    *hpack.Encoder
}

// stressSocket returns a TCP socket that is not connected.
func stressSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tv := unix.NsecToTimeval(int64(stressPatience))
	for _, opt := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, opt, &tv); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func stressConnect(t testing.TB, fd int, addr net.Addr) {
	t.Helper()
	ap := netip.MustParseAddrPort(addr.String())
	err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()})
	if errors.Is(err, unix.EINTR) {
		// The attempt goes on without us.
		pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		for errors.Is(err, unix.EINTR) {
			_, err = unix.Poll(pfd, int(stressPatience.Milliseconds()))
		}
		if errno, soErr := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && soErr == nil && errno != 0 {
			err = unix.Errno(errno)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stressDial opens a connection with windows of window octets and waits until
// the server has acknowledged that.
func stressDial(t testing.TB, srv *Server, window uint32) *stressPeer {
	t.Helper()
	fd := stressSocket(t)
	stressConnect(t, fd, srv.Addrs()[0])
	return stressStart(t, fd, window)
}

// stressStart begins HTTP/2 on a connected socket, which it takes.
func stressStart(t testing.TB, fd int, window uint32) *stressPeer {
	t.Helper()
	p := stressNewPeer(t, fd)
	p.write(stressPreface(window))
	for {
		h, _ := p.frame()
		if h.Type == frames.TypeSettings && h.Flags.Has(frames.FlagAck) {
			return p
		}
	}
}

func stressNewPeer(t testing.TB, fd int) *stressPeer {
	p := &stressPeer{t: t, fd: fd, buf: make([]byte, 128<<10), nextID: 1}
	p.enc = hpack.NewEncoder(&p.block)
	t.Cleanup(p.close)
	return p
}

// stressPreface is what a client with windows of window octets says first, the
// acknowledgement of the server's SETTINGS included.
func stressPreface(window uint32) []byte {
	b := []byte(h2.Preface)
	b = frames.AppendSettings(b, frames.Setting{ID: frames.SettingInitialWindowSize, Value: window})
	if window > 65535 {
		b = frames.AppendWindowUpdate(b, frames.WindowUpdate{Increment: window - 65535})
	}
	return frames.AppendSettingsAck(b)
}

func (p *stressPeer) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// reset closes the connection with RST.
func (p *stressPeer) reset() {
	_ = unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	p.close()
}

func (p *stressPeer) write(b []byte) {
	for len(b) > 0 {
		n, err := unix.Write(p.fd, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			p.t.Fatalf("client write: %v", err)
		}
		b = b[n:]
	}
}

// request returns HEADERS of a request without body; fields are pairs.
func (p *stressPeer) request(path string, fields ...string) ([]byte, frames.StreamID) {
	return p.headers("GET", path, frames.FlagEndStream, fields...)
}

func (p *stressPeer) headers(method, path string, flags frames.Flags, fields ...string) (b []byte, id frames.StreamID) {
	p.block.Reset()
	all := append([]string{":method", method, ":scheme", "http", ":authority", "localhost", ":path", path}, fields...)
	for i := 0; i < len(all); i += 2 {
		if err := p.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}); err != nil {
			p.t.Fatal(err)
		}
	}
	id = p.nextID
	p.nextID += 2
	b = frames.AppendHeader(b, frames.Header{
		Length: uint32(p.block.Len()), Type: frames.TypeHeaders,
		Flags: frames.FlagEndHeaders | flags, StreamID: id,
	})
	return append(b, p.block.Bytes()...), id
}

func (p *stressPeer) get(path string, fields ...string) frames.StreamID {
	b, id := p.request(path, fields...)
	p.write(b)
	return id
}

// fill reads once. It reports false at the end of the connection.
func (p *stressPeer) fill() bool {
	if p.at == p.end {
		p.at, p.end = 0, 0
	} else if p.end == len(p.buf) {
		p.end = copy(p.buf, p.buf[p.at:p.end])
		p.at = 0
	}
	for {
		n, err := unix.Read(p.fd, p.buf[p.end:])
		switch {
		case err == nil:
			p.end += n
			return n > 0
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECONNRESET):
			return false
		default:
			p.t.Fatalf("client read: %v", err)
		}
	}
}

// frame returns the next frame; the payload is lent until the next call.
func (p *stressPeer) frame() (frames.Header, []byte) {
	p.t.Helper()
	for {
		h, ok := frames.ParseHeader(p.buf[p.at:p.end])
		if end := p.at + frames.HeaderLen + int(h.Length); ok && end <= p.end {
			payload := p.buf[p.at+frames.HeaderLen : end]
			p.at = end
			return h, payload
		}
		if !p.fill() {
			p.t.Fatal("the server closed the connection")
		}
	}
}

// endOf reads until stream id has ended and returns the octets of its body.
func (p *stressPeer) endOf(id frames.StreamID) (n int) {
	p.t.Helper()
	for {
		h, _ := p.frame()
		if h.StreamID != id {
			continue
		}
		if h.Type == frames.TypeRSTStream {
			p.t.Fatalf("stream %d was reset", id)
		}
		if h.Type == frames.TypeData {
			n += int(h.Length)
		}
		if (h.Type == frames.TypeData || h.Type == frames.TypeHeaders) && h.Flags.Has(frames.FlagEndStream) {
			return n
		}
	}
}

// ping makes a round trip; whatever else arrives before the answer is dropped.
func (p *stressPeer) ping() {
	p.t.Helper()
	data := [8]byte{'s', 't', 'r', 'e', 's', 's', byte(p.nextID), byte(p.nextID >> 8)}
	p.write(frames.AppendPing(nil, frames.Ping{Data: data}))
	for {
		h, payload := p.frame()
		if h.Type == frames.TypePing && h.Flags.Has(frames.FlagAck) && string(payload) == string(data[:]) {
			return
		}
	}
}

// isQuiet reports whether nothing waits to be read on fd, neither octets nor
// an end.
func stressIsQuiet(fd int) bool {
	return !stressPoll(fd, unix.POLLIN|unix.POLLRDHUP, 50*time.Millisecond)
}

// stressPoll waits for one of events on fd, and reports whether it has come. A signal
// that interrupts it, as those by which the runtime preempts, is none.
func stressPoll(fd int, events int16, most time.Duration) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(most.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// A stressSpy stands before the gnet.Conn of a connection and sees what is
// written.
type stressSpy struct {
	gnet.Conn
	loop stressSpyLoop

	writes  int // calls
	octets  int
	bySegs  [frames.MaxSegments + 1]int // calls by their number of segments
	largest int                         // octets of one call
	before  func(n int)
	after   func(n int)
	flushed func() // what is left is tried again, since there is room
}

// A stressSpyLoop closes what is behind the spy: gnet takes only its own.
type stressSpyLoop struct {
	gnet.EventLoop
	spy *stressSpy
}

func (l stressSpyLoop) Close(gnet.Conn) error { return l.EventLoop.Close(l.spy.Conn) }

// stressSpyOn puts a spy on c; it is called on the loop of c.
func stressSpyOn(c *conn) *stressSpy {
	s := &stressSpy{Conn: c.wire.gc}
	s.loop = stressSpyLoop{EventLoop: c.wire.gc.EventLoop(), spy: s}
	c.wire.gc, c.wire.isSpied = s, true
	return s
}

func (s *stressSpy) EventLoop() gnet.EventLoop { return s.loop }

func (s *stressSpy) Flush() error {
	if s.flushed != nil {
		s.flushed()
	}
	return s.Conn.Flush()
}

func (s *stressSpy) Write(p []byte) (int, error) {
	s.count(1, len(p))
	n, err := s.Conn.Write(p)
	if s.after != nil {
		s.after(len(p))
	}
	return n, err
}

func (s *stressSpy) Writev(segs [][]byte) (int, error) {
	total := 0
	for _, p := range segs {
		total += len(p)
	}
	s.count(len(segs), total)
	n, err := s.Conn.Writev(segs)
	if s.after != nil {
		s.after(total)
	}
	return n, err
}

func (s *stressSpy) count(segments, octets int) {
	if s.before != nil {
		s.before(octets)
	}
	s.writes++
	s.octets += octets
	s.bySegs[segments]++
	s.largest = max(s.largest, octets)
}
