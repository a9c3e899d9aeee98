package loop

import (
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A doorbell gives a loop another turn after it has polled for other events. It
// is a socketpair whose read end is a connection of that loop: ringing writes
// an octet, and the loop finds it among its events. gnet's Execute would not
// do: a task that queues itself again keeps gnet from polling at all.
type doorbell struct {
	fd    int // the end that is written
	rung  atomic.Bool
	read  wire
	local net.Conn // the read end, until gnet has it
}

func newDoorbell() (*doorbell, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "doorbell")
	local, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, err
	}
	return &doorbell{fd: fds[1], local: local}, nil
}

// ring gives the loop one more turn, however often it is called before that.
func (d *doorbell) ring() {
	if d.rung.CompareAndSwap(false, true) {
		_, _ = unix.Write(d.fd, []byte{1})
	}
}

// answered takes the ring off, before the turn that it asked for.
func (d *doorbell) answered() {
	_ = d.read.next()
	d.rung.Store(false)
}

func (d *doorbell) close() { _ = unix.Close(d.fd) }
