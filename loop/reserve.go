package loop

import (
	"errors"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A reserve keeps a descriptor back, for a connection on its way to a loop. gnet
// duplicates the connection's descriptor and closes the original, also when there
// was none left for the duplicate. So another duplicate takes the place of the
// reserve, which cannot fail, until the connection is safe: short of descriptors,
// it waits, and is not lost.
//
// As long as descriptors are plenty that is not done: see scarcity.
//
// It belongs to one acceptor. The zero reserve is empty.
type reserve struct {
	base int      // what fills the reserve; 0 for none
	file *os.File // a duplicate of base or of the connection kept; nil for none
}

// hold takes the descriptors, unless it has them.
func (r *reserve) hold() (err error) {
	if r.base == 0 {
		base, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("eventfd", err)
		}
		r.base = base
	}
	if r.file == nil {
		fd, err := unix.FcntlInt(uintptr(r.base), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		r.file = os.NewFile(uintptr(fd), "reserve")
	}
	return nil
}

// keep holds nc open, whoever closes it, until drop. The reserve must be held.
func (r *reserve) keep(nc net.Conn) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errors.New("loop: a connection without a descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = r.put(int(fd)) }); e != nil {
		return e
	}
	return err
}

// again returns the connection that is kept as a new net.Conn. It takes a
// descriptor.
func (r *reserve) again() (net.Conn, error) { return net.FileConn(r.file) }

// drop lets go of the connection that is kept.
func (r *reserve) drop() { _ = r.put(r.base) }

// put makes the reserve a duplicate of fd.
func (r *reserve) put(fd int) error {
	err := unix.Dup3(fd, int(r.file.Fd()), unix.O_CLOEXEC)
	return os.NewSyscallError("dup3", err)
}

func (r *reserve) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	if r.base != 0 {
		_ = unix.Close(r.base)
	}
	*r = reserve{}
}

// A scarcity tells whether descriptors may be short. The kernel gives the lowest number
// that is free, so as long as none that a connection has had is above half of the limit,
// somebody else would have to take the other half between two connections, and the one
// that came then would be lost. Once they may be short they may be so for good.
type scarcity struct {
	half atomic.Int64 // of RLIMIT_NOFILE
	near atomic.Bool
}

// look looks at the limit, which may change while the process runs.
func (s *scarcity) look() {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		s.half.Store(int64(min(limit.Cur, math.MaxInt64) / 2))
	}
}

// saw notes the descriptor of a connection.
func (s *scarcity) saw(fd int) {
	if int64(fd) >= s.half.Load() && !s.near.Load() {
		s.near.Store(true)
	}
}
