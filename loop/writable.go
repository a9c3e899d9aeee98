package loop

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// A writableWatch tells a loop that sockets which were full take octets again,
// which gnet does not. It is an epoll instance beside the loop's own, and
// serves only connections that are blocked; each is watched once
// (EPOLLONESHOT), since a writable socket left armed would burn a core.
type writableWatch struct {
	loop *eventLoop
	epfd int
	stop int // an eventfd that ends run
	done chan struct{}

	mu      sync.Mutex
	watched map[int32]*conn // by descriptor
}

func newWritableWatch(l *eventLoop) (*writableWatch, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(err, unix.Close(epfd))
	}
	w := &writableWatch{loop: l, epfd: epfd, stop: stop, done: make(chan struct{}), watched: map[int32]*conn{}}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, stop, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(stop)}); err != nil {
		return nil, errors.Join(err, unix.Close(stop), unix.Close(epfd))
	}
	go w.run()
	return w, nil
}

// arm makes the loop pump c once its socket is writable. It reports false if
// the kernel refuses.
func (w *writableWatch) arm(c *conn) bool {
	fd := int32(c.wire.fd)
	op := unix.EPOLL_CTL_MOD
	w.mu.Lock()
	if w.watched[fd] != c {
		w.watched[fd] = c
		op = unix.EPOLL_CTL_ADD
	}
	w.mu.Unlock()
	ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: fd}
	return unix.EpollCtl(w.epfd, op, int(fd), &ev) == nil
}

// forget stops watching c, whose descriptor is still open.
func (w *writableWatch) forget(c *conn, fd int) {
	w.mu.Lock()
	found := w.watched[int32(fd)] == c
	if found {
		delete(w.watched, int32(fd))
	}
	w.mu.Unlock()
	if found {
		_ = unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, fd, nil)
	}
}

func (w *writableWatch) run() {
	defer close(w.done)
	var events [128]unix.EpollEvent
	for {
		n, err := unix.EpollWait(w.epfd, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			w.loop.srv.fail(err)
			return
		}
		if n > 0 && !w.deliver(events[:n]) {
			return
		}
	}
}

// deliver posts the connections of events to the loop. It reports false at the
// end.
func (w *writableWatch) deliver(events []unix.EpollEvent) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range events {
		if events[i].Fd == int32(w.stop) {
			return false
		}
		// A descriptor may have been reused since; then this is one pump too
		// many, which looks and finds nothing.
		if c := w.watched[events[i].Fd]; c != nil {
			w.loop.postWritable(c)
		}
	}
	return true
}

// close ends the watch and waits for its goroutine.
func (w *writableWatch) close() {
	one := [8]byte{1}
	_, _ = unix.Write(w.stop, one[:])
	<-w.done
	_ = unix.Close(w.epfd)
	_ = unix.Close(w.stop)
}
