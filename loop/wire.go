package loop

import (
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// A wire is the one holder of a gnet.Conn.
//
// After OnClose a gnet.Conn is poison: a failed write closes the connection
// inside the call and runs OnClose, gnet never checks, and another write would
// go to whichever connection has inherited the descriptor. So OnClose empties
// the wire first thing, every method of an empty wire does nothing, and after
// each method that may write the caller asks isOpen.
type wire struct {
	gc      gnet.Conn // nil once closed
	fd      int
	isSpied bool // tests that stand before gc are to see every write
}

func (w *wire) open(gc gnet.Conn) { w.gc, w.fd = gc, gc.Fd() }
func (w *wire) drop()             { w.gc, w.fd = nil, -1 }
func (w *wire) isOpen() bool      { return w.gc != nil }

// next lends the octets that have arrived until OnTraffic returns. It takes
// all of them, so that gnet's inbound ring stays empty.
func (w *wire) next() []byte {
	if w.gc == nil {
		return nil
	}
	b, _ := w.gc.Next(-1)
	return b
}

// write sends segs, in order, with one system call. It borrows their octets
// and may change their elements. The wire may be closed when it returns.
func (w *wire) write(segs [][]byte) {
	switch {
	case w.gc == nil || len(segs) == 0:
	case len(segs) == 1:
		if p := w.send(segs[0]); len(p) > 0 {
			_, _ = w.gc.Write(p)
		}
	default:
		_, _ = w.gc.Writev(segs)
	}
}

// sendLimit bounds what send takes: a call that the runtime does not know of must be
// short, for nothing else of Go runs on its thread, and the garbage collector waits for
// it. 64 KiB take some 20 us.
const sendLimit = 64 << 10

// send gives the socket p, if it is small and goes before nothing that waits, and
// returns what is left of it: what the socket does not take, whyever, is for gnet.
//
// write(2) by way of gnet passes through the kernel's file layer and twice through
// Go's scheduler, which a call that does not block has no need of: that is 3 % of a
// small request (docs/decisions/007-http1-cpu.md).
func (w *wire) send(p []byte) []byte {
	if len(p) == 0 || len(p) > sendLimit || w.isSpied || w.gc.OutboundBuffered() > 0 {
		return p
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return p
	}
	return p[n:]
}

// buffered returns the octets that gnet holds because the socket was full.
func (w *wire) buffered() int {
	if w.gc == nil {
		return 0
	}
	return w.gc.OutboundBuffered()
}

// unread returns the octets that the peer has not acknowledged, or not been
// sent, whoever holds them.
func (w *wire) unread() int {
	if w.gc == nil {
		return 0
	}
	n, err := unix.IoctlGetInt(w.fd, unix.SIOCOUTQ)
	if err != nil {
		n = 0
	}
	return n + w.gc.OutboundBuffered()
}

// hasInput reports whether octets have come that were not read.
func (w *wire) hasInput() bool {
	if w.gc == nil {
		return false
	}
	n, err := unix.IoctlGetInt(w.fd, unix.SIOCINQ)
	return err == nil && n > 0
}

// flush lets gnet write what it holds. The wire may be closed when it returns.
func (w *wire) flush() {
	if w.gc != nil {
		_ = w.gc.Flush()
	}
}

// close closes the connection at once; OnClose runs inside.
func (w *wire) close() {
	if gc := w.gc; gc != nil {
		_ = gc.EventLoop().Close(gc)
	}
}

// setReading has epfd tell of octets that have come, or not. Without, it does not
// tell that the socket has room either: our own watch does.
func (w *wire) setReading(epfd int, on bool) {
	if w.gc == nil {
		return
	}
	ev := unix.EpollEvent{Fd: int32(w.fd)}
	if on {
		ev.Events = interest
		if w.gc.OutboundBuffered() > 0 {
			ev.Events |= unix.EPOLLOUT
		}
	}
	_ = unix.EpollCtl(epfd, unix.EPOLL_CTL_MOD, w.fd, &ev)
}

// readByEdge has epfd tell of octets, and of their end, when they come.
func (w *wire) readByEdge(epfd int) {
	if w.gc != nil {
		ev := unix.EpollEvent{Fd: int32(w.fd), Events: interest | unix.EPOLLRDHUP | unix.EPOLLET}
		_ = unix.EpollCtl(epfd, unix.EPOLL_CTL_MOD, w.fd, &ev)
	}
}

// abort closes the connection with a reset, and what is on its way is lost.
func (w *wire) abort() {
	if w.gc != nil {
		_ = w.gc.SetLinger(0)
		w.close()
	}
}

// shutdownWrite sends FIN behind what the socket holds.
func (w *wire) shutdownWrite() {
	if w.gc != nil {
		_ = unix.Shutdown(w.fd, unix.SHUT_WR)
	}
}

// setSendLowWater sets TCP_NOTSENT_LOWAT; 0 leaves it to the kernel. On a unix socket it
// does nothing.
func (w *wire) setSendLowWater(n int) {
	if w.gc != nil {
		_ = setSendLowWater(w.fd, n)
	}
}

func setSendLowWater(fd, n int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
}

// setUserTimeout sets TCP_USER_TIMEOUT: how long a peer may not acknowledge
// anything, or keep its window shut, before the kernel ends the connection; 0 leaves that
// to the kernel.
func (w *wire) setUserTimeout(d time.Duration) {
	if w.gc != nil {
		_ = setUserTimeout(w.fd, d)
	}
}

func setUserTimeout(fd int, d time.Duration) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
}

// Fields of SO_MEMINFO (linux/sock_diag.h).
const (
	memSendBuffer = 3 // sk_sndbuf
	memQueued     = 5 // sk_wmem_queued, the kernel's overhead included
	memFields     = 9
)

// room returns how many octets a TCP socket would take now, and how many of
// them are enough not to wait: a little less than there are when epoll calls
// the socket writable, which is a third of its buffer or half of lowWater, its
// TCP_NOTSENT_LOWAT (0 for none). With one, it also returns how many octets the
// kernel has not sent.
func (w *wire) room(lowWater int) (room, enough, unsent int) {
	if w.gc == nil {
		return 0, 0, 0
	}
	var mem [memFields]uint32
	size := uint32(unsafe.Sizeof(mem))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(w.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&mem)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || size < (memQueued+1)*4 {
		return minBatch, minBatch, 0 // an old kernel: write blindly, a little at a time
	}
	buffer, queued := int(mem[memSendBuffer]), int(mem[memQueued])
	// The kernel charges a page fragment's truesize and a header for each
	// buffer; an eighth covers both.
	room = (buffer - queued) * 7 / 8
	enough = buffer / 4
	if lowWater > 0 {
		unsent, _ = unix.IoctlGetInt(w.fd, unix.SIOCOUTQNSD)
		room = min(room, lowWater-unsent)
		enough = min(enough, lowWater/4)
	}
	return max(room, 0), enough, unsent
}

// outstanding returns how many octets the kernel has not sent, and how many the peer has
// not acknowledged.
func (w *wire) outstanding() (unsent, unacked int) {
	if w.gc == nil {
		return 0, 0
	}
	unsent, _ = unix.IoctlGetInt(w.fd, unix.SIOCOUTQNSD)
	unacked, _ = unix.IoctlGetInt(w.fd, unix.SIOCOUTQ)
	return unsent, unacked
}

// tcpState asks the kernel; nil if that does not tell.
func (w *wire) tcpState() *TCPState {
	if w.gc == nil {
		return nil
	}
	info, err := unix.GetsockoptTCPInfo(w.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return nil
	}
	return &TCPState{
		RTT: time.Duration(info.Rtt) * time.Microsecond, RTTVar: time.Duration(info.Rttvar) * time.Microsecond,
		CWND: int(info.Snd_cwnd), MSS: int(info.Snd_mss), Retransmits: int(info.Total_retrans), PeerWindow: int(info.Snd_wnd),
	}
}
