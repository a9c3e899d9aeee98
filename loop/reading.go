package loop

import (
	"errors"

	"golang.org/x/sys/unix"
)

// gnet has no way to stop reading from a connection: what it reads must go
// somewhere. So where a peer is to wait, as in HTTP/1.1 it sometimes must, the
// connection's interest is taken out of the loop's own epoll instance, and put
// back later; what has come meanwhile stays with the kernel. A peer that resets
// the connection is noticed all the same.

// interest is what gnet has epoll tell of a connection that it reads from
// (netpoll.ReadEvents).
const interest = unix.EPOLLIN | unix.EPOLLPRI

// findEpoll returns the epoll instance that polls fd, which is that of the
// loop if fd is a connection of it. gnet does not tell; but of all descriptors
// only an epoll instance that knows fd can change its interest in it, and here it
// stays what it is.
func findEpoll(fd int) (int, error) {
	var most unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &most); err != nil {
		return 0, err
	}
	for epfd := range int(min(most.Cur, 1<<20)) {
		ev := unix.EpollEvent{Events: interest, Fd: int32(fd)}
		if epfd != fd && unix.EpollCtl(epfd, unix.EPOLL_CTL_MOD, fd, &ev) == nil {
			return epfd, nil
		}
	}
	return 0, errors.New("no epoll instance polls the doorbell")
}

// A trigger is how epoll tells that octets have come on a connection.
type trigger uint8

const (
	byLevel     trigger = iota // as long as there are any, which is how gnet asks
	byEdge                     // when some come
	onlyByLevel                // for good: reading has paused, or much comes at once
)

const (
	// readSize is how much gnet reads at once. It asks by level, so it reads once.
	readSize = 64 << 10

	// edgeRequests is how many requests a connection has had before it is told by
	// edge, which costs a system call.
	edgeRequests = 2
)

// chooseTrigger is called when n octets were read. By level, epoll looks at each
// connection a second time, to find that nothing more is there. By edge it does not,
// and it need not, as a read that was not filled has taken everything, and the end of
// input behind it is told with it (EPOLLRDHUP, which makes gnet read on). Where reads
// are filled, by level is right.
//
// gnet goes back to asking by level when the socket has been full: that is slower, and
// no harm.
func (c *conn) chooseTrigger(n int) {
	switch {
	case n >= readSize:
		if c.trigger == byEdge {
			c.wire.setReading(c.loop.epfd, true)
		}
		c.trigger = onlyByLevel
	case c.trigger == byLevel && c.requests >= edgeRequests && c.wire.buffered() == 0:
		c.trigger = byEdge
		c.wire.readByEdge(c.loop.epfd)
	}
}

// setReading stops and resumes reading, as the engine wishes. gnet sets its
// interest anew whenever the socket has become full, or has room again: then it
// has to be told once more.
func (c *conn) setReading() {
	pause := c.stage == stageServing && !c.finishing && c.h1 != nil && c.h1.WantsPause()
	if pause || pause != c.isPaused {
		c.isPaused, c.trigger = pause, onlyByLevel
		c.wire.setReading(c.loop.epfd, !pause)
	}
}
