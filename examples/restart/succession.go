package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	// inherited tells a successor how many listening sockets it has, from the
	// descriptor 3 on. Behind them is a pipe, to say that it is ready.
	inherited = "RESTART_INHERITED"
	firstFD   = 3

	patience = 10 * time.Second // with a successor
)

// listen returns the listeners that were inherited, or new ones.
func listen(addrs []string) ([]net.Listener, error) {
	n, _ := strconv.Atoi(os.Getenv(inherited))
	var listeners []net.Listener
	for i := range n {
		f := os.NewFile(uintptr(firstFD+i), "listener")
		ln, err := net.FileListener(f) // a copy
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("what was inherited: %w", err)
		}
		listeners = append(listeners, ln)
	}
	if n > 0 {
		return listeners, nil
	}
	for _, addr := range addrs {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, ln)
	}
	return listeners, nil
}

// sockets returns copies of the sockets of listeners, to be handed on.
//
// Those that File returns would not do: os/exec, which asks for their Fd, makes them
// block, and with them the listeners here, whose Accept would not return any more when
// they are closed.
func sockets(listeners []net.Listener) (files []*os.File, err error) {
	for _, ln := range listeners {
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			return nil, err
		}
		var fd int
		var errDup error
		syscall.ForkLock.RLock()
		err = raw.Control(func(of uintptr) {
			if fd, errDup = syscall.Dup(int(of)); errDup == nil {
				syscall.CloseOnExec(fd)
			}
		})
		syscall.ForkLock.RUnlock()
		if err := errors.Join(err, errDup); err != nil {
			return nil, err
		}
		files = append(files, os.NewFile(uintptr(fd), ln.Addr().String()))
	}
	return files, nil
}

// ready tells the predecessor, if there is one, that it may go.
func ready() error {
	n, _ := strconv.Atoi(os.Getenv(inherited))
	if n == 0 {
		return nil
	}
	pipe := os.NewFile(uintptr(firstFD+n), "ready")
	defer pipe.Close()
	_, err := pipe.Write([]byte{1}) // it has gone already if that fails
	return err
}

// succeed starts a successor with the same arguments and waits until it is ready. It
// returns an error, and there is no successor, if it does not come to that.
func succeed(sockets []*os.File) (pid int, err error) {
	program, err := os.Executable() // what is there by now
	if err != nil {
		return 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inherited+"="+strconv.Itoa(len(sockets)))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = append(cmd.ExtraFiles, sockets...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	err = cmd.Start()
	_ = w.Close() // so that the end of the successor is the end of the pipe
	if err != nil {
		return 0, err
	}
	_ = r.SetReadDeadline(time.Now().Add(patience))
	if _, err := r.Read(make([]byte, 1)); err != nil {
		_ = cmd.Process.Kill()
		return 0, fmt.Errorf("the successor %d is not ready: %w, %w", cmd.Process.Pid, err, cmd.Wait())
	}
	return cmd.Process.Pid, nil // and it is nobody's to wait for
}
