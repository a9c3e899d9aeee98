package loop

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What net sets on each connection that it accepts, unless it is told otherwise. Times
// are in seconds.
const (
	keepAliveIdle  = 15
	keepAliveEvery = 15
	keepAliveCount = 9
)

// A socketSettings is what a connection over TCP begins with. The zero value is what the
// kernel does by itself.
type socketSettings struct {
	userTimeout time.Duration // TCP_USER_TIMEOUT
	ahead       int32         // TCP_NOTSENT_LOWAT
}

func (cfg *Config) socketSettings() socketSettings {
	return socketSettings{
		userTimeout: max(cfg.UserTimeout, 0),
		ahead:       int32(min(firstAhead, max(cfg.SendLowWater, 0))),
	}
}

// openListener opens a listener of plain TCP, or a unix one. net.Listen would make it one
// of MPTCP, where the kernel has that: nothing is inherited from it, and each connection
// costs more, whether or not its peer knows MPTCP.
func openListener(network, address string, mode fs.FileMode) (net.Listener, error) {
	cfg := net.ListenConfig{KeepAlive: -1} // see bequeath
	cfg.SetMultipathTCP(false)
	if mode != 0 {
		cfg.Control = narrow(mode)
	}
	ln, err := cfg.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	if mode != 0 {
		if err := os.Chmod(address, mode); err != nil { // what the umask has left out
			return nil, errors.Join(err, ln.Close())
		}
	}
	return ln, nil
}

// narrow gives a unix socket a mode before it has a file. Linux makes the file with that, less
// the umask, so that there is no moment in which more may connect.
func narrow(mode fs.FileMode) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(mode)) })
		return errors.Join(err, e)
	}
}

// lengthenBacklog has the backlog be as long as the kernel allows, which is more than is
// asked for here. Package net asks for that too if it can read the bound from /proc, and for
// 128 if it cannot, as in a chroot.
func (l *listener) lengthenBacklog() {
	l.control(func(fd int) { _ = unix.Listen(fd, math.MaxInt32) })
}

// bequeath sets on the listener what its connections are to have: on Linux they have it
// from the beginning then, without a system call for each. If the listener is ours, net
// has left keep-alive to us as well.
func (l *listener) bequeath(isOurs bool) {
	want := l.srv.config().socketSettings()
	l.control(func(s int) {
		if protocol, err := unix.GetsockoptInt(s, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP {
			return // MPTCP
		}
		if isOurs {
			_ = unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
			_ = unix.SetsockoptInt(s, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle)
			_ = unix.SetsockoptInt(s, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveEvery)
			_ = unix.SetsockoptInt(s, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount)
		}
		// Zero as well: who has had the socket before us may have set others.
		if setUserTimeout(s, want.userTimeout) == nil {
			l.inherited.userTimeout = want.userTimeout
		}
		if setSendLowWater(s, int(want.ahead)) == nil {
			l.inherited.ahead = want.ahead
		}
	})
}

// inherit gives c, which has just begun, what its socket has not inherited, be it because
// the settings are not those of when the listener was made.
func (c *conn) inherit() {
	has, want := c.ln.inherited, c.loop.srv.config().socketSettings()
	if has.userTimeout != want.userTimeout {
		c.wire.setUserTimeout(want.userTimeout)
	}
	if has.ahead != want.ahead {
		c.wire.setSendLowWater(int(want.ahead))
	}
	c.pace.ahead = want.ahead
}
