package loop

import (
	"os"

	"golang.org/x/sys/unix"
)

// A reserve keeps a descriptor back. On its way to a loop a connection takes
// two of them for a moment: without a reserve, one that gets the last would be
// lost, and after it, one by one, all that wait.
//
// It belongs to one acceptor. The zero reserve is empty.
type reserve struct {
	base, spare int // spare is a duplicate of base; 0 for none
}

// hold takes a descriptor, unless there is one already.
func (r *reserve) hold() (err error) {
	if r.base == 0 {
		base, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("eventfd", err)
		}
		r.base = base
	}
	if r.spare == 0 {
		spare, err := unix.FcntlInt(uintptr(r.base), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		r.spare = spare
	}
	return nil
}

// release lets somebody else have the descriptor.
func (r *reserve) release() {
	if r.spare != 0 {
		_ = unix.Close(r.spare)
		r.spare = 0
	}
}

func (r *reserve) close() {
	r.release()
	if r.base != 0 {
		_ = unix.Close(r.base)
		r.base = 0
	}
}
