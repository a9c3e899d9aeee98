package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

// listenerProblem says of which listener err is, which is of loop.New.
func listenerProblem(cfg *config.Config, err error) error {
	var i int
	if _, e := fmt.Sscanf(err.Error(), "loop: Config.Listeners[%d]:", &i); e != nil || i >= len(cfg.Listeners) {
		return err
	}
	return listenProblem(cfg, fmt.Sprintf("listeners[%d].address", i), err)
}

// listenProblem says in plain words why nothing listens on the address that field names, and
// what to do.
func listenProblem(cfg *config.Config, field string, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "listen" || op.Addr == nil {
		return err
	}
	errno, ok := errors.AsType[syscall.Errno](op.Err)
	if !ok {
		return cfg.Problem(field, "cannot listen on %s: %v", op.Addr, op.Err)
	}
	return cfg.Problem(field, "cannot listen on %s: %v%s", op.Addr, errno, listenHint(op.Addr, errno))
}

// listenHint says what to do about an address that cannot be had.
func listenHint(addr net.Addr, errno syscall.Errno) string {
	if addr, ok := addr.(*net.UnixAddr); ok {
		return unixHint(addr.Name, errno)
	}
	tcp, _ := addr.(*net.TCPAddr)
	switch {
	case errno == syscall.EACCES && tcp != nil && tcp.Port > 0 && tcp.Port < 1024:
		return " (ports below 1024 are for root, or for CAP_NET_BIND_SERVICE)"
	case errno == syscall.EADDRINUSE:
		return " (another process listens there: end it, or name another address)"
	case errno == syscall.EADDRNOTAVAIL:
		return " (this machine does not have that address)"
	default:
		return ""
	}
}

func unixHint(path string, errno syscall.Errno) string {
	switch info, err := os.Lstat(path); {
	case errno == syscall.EADDRINUSE && err == nil && info.Mode()&os.ModeSocket == 0:
		return " (that is a file, and no socket: remove it, or name another path)"
	case errno == syscall.EADDRINUSE:
		return " (another process listens there: end it, or name another path)"
	case errno == syscall.EACCES:
		return fmt.Sprintf(" (this user cannot make files in %s)", filepath.Dir(path))
	case errno == syscall.EINVAL:
		return " (paths of sockets have 107 octets at most)"
	default:
		return ""
	}
}
