package loop

import (
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// stressHeap returns the octets of heap in use, after two collections: what a
// sync.Pool holds outlives one.
func stressHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// stressBuffered returns what gnet holds for the connections of srv.
func stressBuffered(t *testing.T, srv *Server) (total, largest, blocked int) {
	t.Helper()
	for i := range srv.loops {
		stressOnLoop(t, srv, i, func(l *eventLoop) {
			for c := l.conns.head; c != nil; c = c.next {
				n := c.wire.buffered()
				total += n
				largest = max(largest, n)
				if c.isBlocked {
					blocked++
				}
			}
		})
	}
	return total, largest, blocked
}

// skim reads n octets and looks at none of them.
func (p *stressPeer) skim(n int) {
	for n > 0 {
		p.at, p.end = 0, 0
		if !p.fill() {
			p.t.Fatal("the server closed the connection")
		}
		n -= p.end
	}
	p.at, p.end = 0, 0
}

// TestStressStalledReaders has readers with windows of 2^30 octets ask for large
// bodies, read fast at first and then no more. What they cost is bounded,
// whatever the bodies' size, the others are served, and all of it comes back.
func TestStressStalledReaders(t *testing.T) {
	const fast = 1 << 20 // read before they stop
	body := make([]byte, 64<<20)
	for _, tt := range []struct {
		name           string
		conns, streams int
	}{
		{"connections", 200, 1},
		{"streams", 1, 250},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if stressRace {
				tt.conns = (tt.conns + 3) / 4
			}
			srv := stressServe(t, Config{}, func(srv *Server) {
				srv.Handle("GET /big", Static(200, "text/plain", body))
				srv.Handle("GET /small", Static(200, "text/plain", []byte("small")))
			})
			beside := stressDial(t, srv, 1<<20)
			peers := make([]*stressPeer, tt.conns)
			for i := range peers {
				// Left to itself, the kernel takes many MiB for a fast reader.
				fd := stressSocket(t)
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 256<<10); err != nil {
					t.Fatal(err)
				}
				stressConnect(t, fd, srv.Addrs()[0])
				peers[i] = stressStart(t, fd, 1<<30)
			}
			before := stressHeap()
			for _, p := range peers {
				for range tt.streams {
					p.get("/big")
				}
				p.skim(fast)
			}
			stressWait(t, "all sockets are full", func() bool {
				_, _, blocked := stressBuffered(t, srv)
				return blocked == tt.conns
			})
			for range 20 {
				beside.endOf(beside.get("/small"))
			}
			total, largest, _ := stressBuffered(t, srv)
			during := stressHeap()
			t.Logf("%d connections of %d streams: %.1f KiB of heap each, of which gnet buffers %.1f, at most %.1f",
				tt.conns, tt.streams, float64(during-before)/float64(tt.conns)/1024,
				float64(total)/float64(tt.conns)/1024, float64(largest)/1024)
			if limit := tt.conns * minBatch; total > limit {
				t.Errorf("gnet buffers %d octets for %d blocked connections, want %d at most", total, tt.conns, limit)
			}
			// Besides, a connection has an outbox, HPACK tables and its
			// streams, each below a kilobyte.
			if limit := int64(tt.conns * (2*minBatch + tt.streams<<10)); during-before > limit+1<<20 {
				t.Errorf("%d blocked connections cost %d octets of heap, want %d at most", tt.conns, during-before, limit)
			}
			for _, p := range peers {
				p.close()
			}
			stressWait(t, "all connections are gone", func() bool { return srv.openConns() == 1 })
			stressWait(t, "what they cost comes back", func() bool {
				after := stressHeap()
				t.Logf("heap in use: %.1f MiB before, %.1f MiB during, %.1f MiB after", float64(before)/(1<<20), float64(during)/(1<<20), float64(after)/(1<<20))
				return after <= before+1<<20
			})
			for i, l := range srv.loops {
				l.watch.mu.Lock()
				n := len(l.watch.watched)
				l.watch.mu.Unlock()
				if n != 0 {
					t.Errorf("loop %d watches %d connections that are gone", i, n)
				}
			}
		})
	}
}

// TestStressHeldOutputIsBounded has more readers stand still than the memory
// for output is for. A unix socket does not say beforehand what it takes, so
// that every batch leaves something behind.
func TestStressHeldOutputIsBounded(t *testing.T) {
	const (
		conns = 200
		limit = 1 << 20
	)
	path := filepath.Join(t.TempDir(), "socket")
	srv := stressServe(t, Config{
		Listeners:     []Listener{{Network: "unix", Address: path}},
		MaxHeldOutput: limit,
	}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", make([]byte, 10<<20)))
		srv.Handle("GET /small", Static(200, "text/plain", []byte("small")))
	})
	dial := func() *stressPeer {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		return stressStart(t, fd, 1<<30)
	}
	for range conns {
		p := dial()
		p.get("/big")
	}
	stressWait(t, "all sockets are full", func() bool {
		_, _, blocked := stressBuffered(t, srv)
		return blocked == conns
	})
	total, largest, _ := stressBuffered(t, srv)
	t.Logf("gnet holds %d octets for %d connections, %d at most", total, conns, largest)
	if most := limit + conns*(leastBatch+1<<10); total > most {
		t.Errorf("gnet holds %d octets, want %d at most", total, most)
	}
	late := dial()
	late.endOf(late.get("/small"))
	if n := late.endOf(late.get("/big")); n != 10<<20 {
		t.Errorf("a reader that goes on got %d octets", n)
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		for l.conns.head != nil {
			l.conns.head.wire.close()
		}
		if all := srv.held.Load(); l.held != 0 || all != 0 {
			t.Errorf("%d octets of the loop and %d of all count as held when all connections are gone", l.held, all)
		}
	})
}
