package loop

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A reserve keeps a descriptor back, for a connection on its way to a loop. gnet
// duplicates the connection's descriptor and closes the original, also when there
// was none left for the duplicate. So another duplicate takes the place of the
// reserve, which cannot fail, until the connection is safe: short of descriptors,
// it waits, and is not lost.
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
