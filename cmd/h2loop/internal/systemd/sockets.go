package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is the first descriptor that is handed over (SD_LISTEN_FDS_START).
const firstFD = 3

// A Sockets is what the service manager has handed over and nobody has taken.
type Sockets struct {
	files []*os.File
	names []string
}

// TakeSockets returns the sockets that are meant for this process. They are not inherited
// by processes that it starts.
func TakeSockets() *Sockets {
	s := &Sockets{}
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return s
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 || n > 1000 {
		return s
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for i := range n {
		unix.CloseOnExec(firstFD + i)
		name := ""
		if i < len(names) {
			name = names[i]
		}
		s.files = append(s.files, os.NewFile(uintptr(firstFD+i), name))
		s.names = append(s.names, name)
	}
	return s
}

// Listener takes the socket of that name, or number from 0, and listens on it.
func (s *Sockets) Listener(name string) (net.Listener, error) {
	at := -1
	for i, n := range s.names {
		if s.files[i] != nil && (n == name || strconv.Itoa(i) == name) {
			at = i
			break
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("fd:%s: the service manager has handed over %d sockets, and none of that name or number is left", name, len(s.files))
	}
	f := s.files[at]
	s.files[at] = nil
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("fd:%s: %w", name, err)
	}
	return ln, nil
}

// Close closes what nobody has taken.
func (s *Sockets) Close() {
	for _, f := range s.files {
		if f != nil {
			_ = f.Close()
		}
	}
}
