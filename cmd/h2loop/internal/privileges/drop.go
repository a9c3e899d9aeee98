package privileges

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop makes the process u, and nothing more than u, for good: it has no capability left,
// and no program that it executes can give it one. It is then not dumpable (prctl(2)): other
// processes of u cannot look into its memory, where keys are, and it leaves no core.
// If it returns an error, the process must end: it may be neither what it was nor u.
func (u User) Drop() error {
	if !u.IsSet() {
		return nil
	}
	if err := u.Check(); err != nil {
		return err
	}
	if !u.isThis() || os.Geteuid() == 0 {
		if err := u.become(); err != nil {
			return fmt.Errorf("cannot become user %q: %w", u.Name, err)
		}
	}
	if err := noNewPrivileges(); err != nil {
		return fmt.Errorf("cannot renounce new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // of the process, not the thread
		return os.NewSyscallError("prctl", err)
	}
	return u.verify()
}

// become changes all threads: so do these functions of package syscall.
func (u User) become() error {
	if err := syscall.Setgroups(u.Groups); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", syscall.Setresuid(u.UID, u.UID, u.UID))
}

// verify sees what has become of this thread.
func (u User) verify() error {
	if uid, euid, suid := unix.Getresuid(); uid != u.UID || euid != u.UID || suid != u.UID {
		return fmt.Errorf("the process has the users %d, %d and %d, not %d", uid, euid, suid, u.UID)
	}
	if gid, egid, sgid := unix.Getresgid(); gid != u.GID || egid != u.GID || sgid != u.GID {
		return fmt.Errorf("the process has the groups %d, %d and %d, not %d", gid, egid, sgid, u.GID)
	}
	if u.UID == 0 {
		return nil // it was asked for
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if c := caps[0].Effective | caps[1].Effective | caps[0].Permitted | caps[1].Permitted; c != 0 {
		return errors.New("the process has capabilities, although it is not root any more")
	}
	return nil
}

// noNewPrivileges sets PR_SET_NO_NEW_PRIVS, which is an attribute of a thread, for all.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP: // in a program with cgo
		return noNewPrivilegesByFilter()
	default:
		return os.NewSyscallError("prctl", errno)
	}
}

// noNewPrivilegesByFilter sets it for this thread, and then has the kernel give a filter
// that lets all system calls pass to all threads, and the attribute with it
// (SECCOMP_FILTER_FLAG_TSYNC, seccomp(2)).
func noNewPrivilegesByFilter() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	allow := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}}
	program := unix.SockFprog{Len: uint16(len(allow)), Filter: &allow[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	switch {
	case errno != 0:
		return os.NewSyscallError("seccomp", errno)
	case thread != 0:
		return fmt.Errorf("seccomp: thread %d has another filter", thread)
	}
	return nil
}
