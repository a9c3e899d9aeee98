package loop

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A loop that always has something to do never lets go of its CPU by itself, and where
// there are no more CPUs than loops the runtime takes it away after 10 ms, no sooner. So
// long an http.Handler would wait for its turn, and a file to be opened; and so would a
// connection to be accepted, because nobody looks whether there is one as long as
// goroutines are ready to run. So such a loop yields now and then.
const (
	yieldEvery = time.Millisecond

	// yieldEvents is how many events there are between two looks at the clock, unless
	// goroutines are known to wait.
	yieldEvents = 64
)

// maybeYield is called after each event.
func (l *eventLoop) maybeYield() {
	if l.events++; l.isAwaited || l.events%yieldEvents == 0 {
		l.yield()
	}
}

// yield lets others run, unless that was a moment ago.
func (l *eventLoop) yield() {
	if time.Since(l.srv.started)-l.yieldedAt < yieldEvery {
		return
	}
	l.isAwaited = false
	l.callAcceptors()
	runtime.Gosched()
	l.yieldedAt = time.Since(l.srv.started)
}

// callAcceptors makes acceptors ready to run for whom a connection waits. The runtime
// would not look at the sockets before no goroutine is ready.
func (l *eventLoop) callAcceptors() {
	if l.backlogs == nil {
		l.backlogs = make([]unix.PollFd, 0, len(l.srv.listeners))
		for _, ln := range l.srv.listeners {
			l.backlogs = append(l.backlogs, unix.PollFd{Fd: ln.fd, Events: unix.POLLIN})
		}
	}
	if n, err := unix.Poll(l.backlogs, 0); n <= 0 || err != nil {
		return
	}
	for i, ln := range l.srv.listeners {
		if l.backlogs[i].Revents&unix.POLLIN != 0 {
			ln.call()
		}
	}
}
