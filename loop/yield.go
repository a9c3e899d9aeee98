package loop

import (
	"runtime"
	"sync/atomic"
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
	if time.Since(l.srv.started)-l.yieldedAt >= yieldEvery {
		l.callAcceptors()
		l.letOthersRun()
	}
}

// letOthersRun returns when others have had their turn.
func (l *eventLoop) letOthersRun() {
	if l.isAwaited && l.pauses != nil {
		l.pauses.pause(time.Since(l.srv.started))
	} else {
		runtime.Gosched()
	}
	l.isAwaited = false
	l.yieldedAt = time.Since(l.srv.started)
}

// A loopPause is the time in which a loop lets those run who have something to do for its
// exchanges. All that are ready have a turn, as behind Gosched, but they may be many, and
// a turn long: so the pause is over when something is posted to the loop and yieldEvery
// has gone by.
type loopPause struct {
	began  atomic.Int64  // since the server was made; 0 if there is no pause
	ask    chan struct{} // for a turn to go by
	resume chan struct{} // ends the pause
}

// newLoopPause returns nil where there is a CPU for others anyway.
func newLoopPause(loops int) *loopPause {
	if runtime.GOMAXPROCS(0) > loops {
		return nil
	}
	p := &loopPause{ask: make(chan struct{}, 1), resume: make(chan struct{}, 1)}
	go p.run()
	return p
}

// run ends pauses, once all who are ready have had a turn.
func (p *loopPause) run() {
	for range p.ask {
		runtime.Gosched()
		p.end()
	}
}

// pause is called by the loop.
func (p *loopPause) pause(now time.Duration) {
	p.began.Store(int64(now))
	select {
	case p.ask <- struct{}{}:
	default: // it has yet to come to the one before
	}
	<-p.resume
}

func (p *loopPause) end() {
	if p.began.Swap(0) != 0 {
		p.resume <- struct{}{}
	}
}

// posted is called when something was posted to the loop.
func (p *loopPause) posted(started time.Time) {
	if began := time.Duration(p.began.Load()); began != 0 && time.Since(started)-began >= yieldEvery {
		p.end()
	}
}

// close ends run. There is no pause any more.
func (p *loopPause) close() {
	if p != nil {
		close(p.ask)
	}
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
