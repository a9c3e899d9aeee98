package loop

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socketListener is a *net.TCPListener or a *net.UnixListener.
type socketListener interface {
	net.Listener
	syscall.Conn
	SetDeadline(at time.Time) error
}

// dontBlock makes the socket non-blocking again. Who hands it on may have made it
// blocking, for everybody who shares it: os/exec does that to what File returns. Accept
// would then wait in the kernel, and Close for Accept.
func (l *listener) dontBlock() {
	l.control(func(fd int) {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err == nil && flags&unix.O_NONBLOCK == 0 {
			_ = unix.SetNonblock(fd, true)
		}
	})
}

// knockEvery is how often a listener is woken that waits in the kernel.
const knockEvery = 50 * time.Millisecond

// close closes the listener. If the socket became blocking while somebody waited, Accept
// may have gone to wait in the kernel before dontBlock could see that: then a connection
// of our own has it return. Of those who share the socket another one may get that.
func (l *listener) close() {
	l.dontBlock()
	for waited := time.Duration(0); l.accepting.Load() > 0; waited += time.Millisecond {
		l.call() // who does not wait in the kernel returns
		time.Sleep(time.Millisecond)
		if waited%knockEvery == knockEvery-time.Millisecond {
			l.knock()
		}
	}
	_ = l.ln.Close()
}

func (l *listener) knock() {
	addr := l.ln.Addr()
	if nc, err := net.DialTimeout(addr.Network(), addr.String(), knockEvery); err == nil {
		_ = nc.Close()
	}
}
