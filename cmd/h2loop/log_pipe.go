package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A pipeLog writes to a pipe or a socket, and drops lines for which there is no room: who
// reads them may have stopped, and loops, requests and the end of the process must not
// wait for that.
type pipeLog struct {
	f    *os.File
	fd   int32
	json bool // the format of lines of its own

	mu   sync.Mutex
	lost int  // lines, since the last that was taken
	torn bool // the last line has no end
}

// pipeBuf is how much a pipe takes at once, or not at all, that says it has room: PIPE_BUF.
const pipeBuf = 4096

// unblocked returns f, or what stands before it so that nobody waits for who reads it. Lines
// of its own are JSON or text.
func unblocked(f *os.File, json bool) io.Writer {
	info, err := f.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return f
	}
	return newPipeLog(f, json)
}

func newPipeLog(f *os.File, json bool) *pipeLog {
	return &pipeLog{f: f, fd: int32(f.Fd()), json: json}
}

// Write takes p or drops it, and is content with either.
func (l *pipeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasRoom(0) {
		l.lost++
		return len(p), nil
	}
	out := append(l.before(), p...)
	for rest := out; len(rest) > 0; {
		if len(rest) < len(out) && !l.hasRoom(100*time.Millisecond) {
			l.torn = true
			l.lost++
			break
		}
		n, err := l.f.Write(rest[:min(len(rest), pipeBuf)])
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// before returns what is to be said before the next line: the end of one that was torn
// apart, and how many were dropped.
func (l *pipeLog) before() (text []byte) {
	if l.torn {
		text = append(text, '\n')
	}
	const format, message = `{"level":"warn","lines":%d,"message":%q}` + "\n", "lines of the log were dropped: nobody has read it"
	switch {
	case l.lost == 0:
	case l.json:
		text = fmt.Appendf(text, format, l.lost, message)
	default:
		text = fmt.Appendf(text, "%s (%d)\n", message, l.lost)
	}
	l.lost, l.torn = 0, false
	return text
}

// hasRoom waits until the pipe has room, or nobody reads it any more, or most is over.
func (l *pipeLog) hasRoom(most time.Duration) bool {
	fds := []unix.PollFd{{Fd: l.fd, Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, int(most.Milliseconds()))
	return err != nil || n > 0
}
