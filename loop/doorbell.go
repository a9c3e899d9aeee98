package loop

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A doorbell gives a loop another turn after it has polled for other events.
// gnet's Execute would not do: a task that queues itself again keeps gnet from
// polling at all.
//
// It has two lines that are rung in turns. epoll tells of what has become ready
// in the order in which it did; but what it has told of keeps its place in the
// queue until epoll has looked again, so that one line alone would always be
// answered before what has arrived meanwhile.
//
// A doorbell belongs to its loop.
type doorbell struct {
	lines [2]bellLine
	next  int  // the line to be rung
	rung  bool // and not answered
}

// A bellLine is a socketpair whose read end is a connection of the loop:
// ringing writes an octet, and the loop finds it among its events.
type bellLine struct {
	fd    int // the end that is written
	read  wire
	local net.Conn // the read end, until gnet has it
}

func newDoorbell() (*doorbell, error) {
	d := new(doorbell)
	for i := range d.lines {
		if err := d.lines[i].open(); err != nil {
			for j := range i {
				d.lines[j].close()
			}
			return nil, err
		}
	}
	return d, nil
}

// ring gives the loop one more turn, however often it is called before that.
func (d *doorbell) ring() {
	if !d.rung {
		d.rung = true
		_, _ = unix.Write(d.lines[d.next].fd, []byte{1})
	}
}

// answered takes the ring of line off, before the turn that it asked for.
func (d *doorbell) answered(line *bellLine) {
	_ = line.read.next()
	d.rung = false
	d.next = (d.next + 1) % len(d.lines)
}

func (d *doorbell) close() {
	for i := range d.lines {
		d.lines[i].close()
	}
}

func (line *bellLine) open() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "doorbell")
	line.local, err = net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return errors.Join(err, unix.Close(fds[1]))
	}
	line.fd = fds[1]
	return nil
}

func (line *bellLine) close() {
	_ = line.local.Close()
	_ = unix.Close(line.fd)
}
