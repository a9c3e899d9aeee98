package loop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// stressPair returns two ends of a stream of octets.
func stressPair(t *testing.T) (a, b int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(ends[0])
		_ = unix.Close(ends[1])
	})
	return ends[0], ends[1]
}

// stressFillSocket writes until fd takes nothing more.
func stressFillSocket(t *testing.T, fd int) {
	t.Helper()
	junk := make([]byte, 4096)
	for {
		_, err := unix.Write(fd, junk)
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stressDrainSocket reads all there is and returns how much that was.
func stressDrainSocket(fd int) (total int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil || n == 0 {
			return total
		}
		total += n
	}
}

// TestStressDoorbellRings sees one octet for any number of rings, the next only
// after the first was answered, and on the other line.
func TestStressDoorbellRings(t *testing.T) {
	d, err := newDoorbell()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	arrived := func(line int) (n int) {
		raw, err := d.lines[line].local.(syscall.Conn).SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { n = stressDrainSocket(int(fd)) })
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 5 {
		for range 3 {
			d.ring()
		}
		line := round % 2
		if here, there := arrived(line), arrived(1-line); here != 1 || there != 0 {
			t.Fatalf("round %d: %d octets on line %d and %d on the other, want 1 and 0", round, here, line, there)
		}
		d.answered(&d.lines[line])
	}
}

// TestStressReadyList pushes connections several times and sees each served once.
func TestStressReadyList(t *testing.T) {
	srv := stressServe(t, Config{}, func(*Server) {})
	peers := []*stressPeer{stressDial(t, srv, 1<<20), stressDial(t, srv, 1<<20), stressDial(t, srv, 1<<20)}
	var conns []*conn
	for _, p := range peers {
		conns = append(conns, stressConnOf(t, srv, p))
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		for range 2 {
			for _, c := range conns {
				l.pushReady(c)
			}
		}
		if len(l.ready) != len(conns) {
			t.Errorf("%d connections are ready, want %d", len(l.ready), len(conns))
		}
		if l.bell.rung {
			t.Error("the bell is rung within the turn: its round would overtake what arrives in it")
		}
		conns[1].wire.close() // which stays in the list, and is passed over
	})
	stressWait(t, "the round is over", func() (over bool) {
		stressOnLoop(t, srv, 0, func(l *eventLoop) {
			over = len(l.ready) == 0
			if over && l.bell.rung {
				t.Error("the bell is rung for nothing")
			}
			for i, c := range conns {
				if over && c.isReady {
					t.Errorf("connection %d still counts as ready", i)
				}
			}
		})
		return over
	})
	peers[0].ping()
	peers[2].ping()
}

// TestStressOneBatchATurn sees the request for a large body answered with one
// write in the turn in which it comes, and the next only after the bell.
func TestStressOneBatchATurn(t *testing.T) {
	var l *eventLoop
	var line int // the one to be rung next, which changes when it is answered
	var spy *stressSpy
	inTurn := 0
	srv := stressServe(t, Config{}, func(srv *Server) {
		body := make([]byte, 4<<20)
		srv.Handle("GET /big", func(x *Exchange) {
			line, inTurn = l.bell.next, 0
			_ = x.SendStatic(200, body)
		})
	})
	p := stressDial(t, srv, 1<<30)
	c := stressConnOf(t, srv, p)
	stressOnLoop(t, srv, 0, func(el *eventLoop) {
		l = el
		spy = stressSpyOn(c)
		spy.before = func(int) {
			if l.bell.next == line {
				inTurn++
			} else {
				line = -1 // other turns follow
			}
		}
	})
	for range 10 {
		p.endOf(p.get("/big"))
		stressOnLoop(t, srv, 0, func(*eventLoop) {
			if inTurn != 1 {
				t.Errorf("%d writes in the turn of the request, want 1", inTurn)
			}
		})
	}
}

// stressWatch returns a writableWatch whose loop only notes what it would do.
func stressWatch(t *testing.T) (w *writableWatch, delivered func() []*conn) {
	t.Helper()
	l := &eventLoop{executing: true} // no wake-ups
	w, err := newWritableWatch(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, func() []*conn {
		l.mu.Lock()
		defer l.mu.Unlock()
		got := l.writable
		l.writable = nil
		return got
	}
}

// TestStressWatch arms, forgets and reuses.
func TestStressWatch(t *testing.T) {
	w, delivered := stressWatch(t)
	a, peer := stressPair(t)
	stressFillSocket(t, a)
	c := &conn{wire: wire{fd: a}}
	want := func(why string, want *conn) {
		t.Helper()
		if want == nil {
			time.Sleep(20 * time.Millisecond)
			if got := delivered(); len(got) > 0 {
				t.Fatalf("%s: got %d connections, want none", why, len(got))
			}
			return
		}
		var got []*conn
		stressWait(t, why, func() bool {
			got = append(got, delivered()...)
			return len(got) > 0
		})
		if len(got) != 1 || got[0] != want {
			t.Fatalf("%s: got %v, want %p", why, got, want)
		}
	}
	arm := func(c *conn) {
		t.Helper()
		if !w.arm(c) {
			t.Fatal("arm failed")
		}
	}
	arm(c)
	want("the socket is full", nil)
	stressDrainSocket(peer)
	want("it has drained", c)
	want("it is told once", nil)
	arm(c) // MOD
	want("it is writable and armed again", c)

	stressFillSocket(t, a)
	arm(c)
	w.forget(c, a)
	stressDrainSocket(peer)
	want("it is forgotten", nil)
	if n := len(w.watched); n != 0 {
		t.Errorf("%d connections are watched, want none", n)
	}
	arm(c) // ADD
	want("it is watched again", c)

	// Another connection has the number now, and nobody has said so.
	if err := unix.Close(a); err != nil {
		t.Fatal(err)
	}
	b, other := stressTakeNumber(t, a)
	t.Cleanup(func() { _ = unix.Close(other) })
	stressFillSocket(t, b)
	second := &conn{wire: wire{fd: b}}
	arm(second)
	w.forget(c, a) // too late: it is not c's any more
	stressDrainSocket(other)
	want("the number has a new owner", second)
}

// TestStressWatchRefuses sees arm report what the kernel does not watch.
func TestStressWatchRefuses(t *testing.T) {
	w, _ := stressWatch(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if w.arm(&conn{wire: wire{fd: int(f.Fd())}}) {
		t.Error("a regular file is watched")
	}
}

// stressDescriptors returns how many descriptors this process has open.
func stressDescriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names) - 1 // less the one that reads the directory
}

// stressGoroutines returns how many goroutines run code of this package, and
// their stacks.
func stressGoroutines() (n int, stacks string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "h2loop/loop.(*") || strings.Contains(g, "gnet/v2.(*eventloop)") {
			n++
			stacks += g + "\n\n"
		}
	}
	return n, stacks
}

// TestStressNothingIsLeft runs servers with connections in every state, ends
// them, and looks for descriptors and goroutines.
func TestStressNothingIsLeft(t *testing.T) {
	log := zerolog.Nop()
	run := func() {
		srv, err := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 2, Logger: &log, DrainTimeout: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		srv.Handle("GET /big", Static(200, "text/plain", make([]byte, 64<<20)))
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- srv.Run(ctx) }()
		var peers []*stressPeer
		for range 4 {
			fd := stressSocket(t)
			stressConnect(t, fd, srv.Addrs()[0])
			p := stressNewPeer(t, fd)
			p.write(stressPreface(1 << 30))
			p.frame()
			peers = append(peers, p)
		}
		peers[0].get("/big") // blocked in the end
		peers[1].get("/big")
		peers[1].skim(1 << 20) // working, perhaps
		time.Sleep(10 * time.Millisecond)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, p := range peers {
			p.close()
		}
	}
	run() // what is made once for the process
	fds := stressDescriptors(t)
	before, _ := stressGoroutines()
	for range 3 {
		run()
	}
	stressWait(t, "the goroutines have ended", func() bool {
		n, _ := stressGoroutines()
		return n <= before
	})
	stressWait(t, "no descriptors are left open", func() bool { return stressDescriptors(t) <= fds })
}
