package loop

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// TestMemoryCeiling has more memory be in use than may be, and then less: requests are
// refused, connections wait and idle ones end.
func TestMemoryCeiling(t *testing.T) {
	t.Parallel()
	var used atomic.Int64
	s := newPressed(t, Config{Loops: 1, MemoryCeiling: 1000}, func(srv *Server) {
		srv.memory.read = func() (int64, uint64) { return used.Load(), 0 }
	})
	isShort := func(want bool) {
		t.Helper()
		stressWait(t, fmt.Sprint("memory is short: ", want), func() (is bool) {
			s.onLoop(func(l *eventLoop) { is = l.turnsAway == want })
			return is
		})
	}
	// On a machine that stands still for a second the connections may have ended before
	// they are used: then they are not refused, and all begins anew.
	stressWait(t, "both are refused", func() bool {
		used.Store(0)
		isShort(false)
		s.wantServed() // and its connections are idle now
		used.Store(1000)
		isShort(true)
		before, calls := s.srv.Stats().Limits["memory"], s.calls.Load()
		for i, c := range s.clients {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // a new connection would wait
			resp, err := s.askIn(ctx, c, 10)
			cancel()
			if err == nil && (i == 1 || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "") {
				t.Errorf("HTTP/%d: %v", i+1, resp)
			}
		}
		time.Sleep(3 * tick) // Stats are that old
		if s.calls.Load() != calls {
			t.Error("a handler was called")
		}
		return s.srv.Stats().Limits["memory"] >= before+2
	})
	used.Store(960) // less, but not by a twentieth
	stressWait(t, "idle connections end", func() bool {
		st := s.srv.Stats()
		return st.Connections == 0 && st.MemoryInUse == 960 && st.ShortOfMemory
	})
	waited := s.srv.Stats().Limits["connections"]
	nc, err := net.Dial("tcp", s.srv.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	stressWait(t, "a connection waits", func() bool { return s.srv.Stats().Limits["connections"] > waited })
	if n := s.srv.Stats().Connections; n != 0 {
		t.Errorf("%d connections", n)
	}
	used.Store(949)
	stressWait(t, "it is let in", func() bool { return s.srv.Stats().Connections == 1 && !s.srv.Stats().ShortOfMemory })
	s.onLoop(func(*eventLoop) {}) // which has heard of it
	s.wantServed()
	used.Store(5000)
	stressWait(t, "memory is short", func() bool { return s.srv.Stats().ShortOfMemory })
	if _, err := s.srv.Reconfigure(Config{Loops: 1, Listeners: []Listener{{Address: "127.0.0.1:0"}}, MemoryCeiling: -1}); err != nil {
		t.Fatal(err)
	}
	stressWait(t, "nobody asks for the ceiling", func() bool { return !s.srv.Stats().ShortOfMemory && s.srv.Stats().MemoryInUse == 0 })
	s.onLoop(func(*eventLoop) {})
	s.wantServed()
}

// TestMemoryIsCollected has memory be short, and nothing be allocated: it is collected
// nevertheless, once a second.
func TestMemoryIsCollected(t *testing.T) {
	srv := &Server{}
	srv.live.Store(&Config{MemoryCeiling: 1000})
	srv.admission = newAdmission(srv.config(), func() time.Duration { return 0 })
	srv.memory.read = func() (int64, uint64) { return 2000, 7 }
	srv.watchMemory(time.Minute)
	if !srv.memory.short.Load() {
		t.Fatal("memory is not short")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	srv.watchMemory(time.Minute + collectEvery)
	stressWait(t, "a collection", func() bool {
		runtime.ReadMemStats(&after)
		return after.NumGC > before.NumGC && !srv.memory.isCollecting.Load()
	})
}

// TestReadMemory holds memory, and lets go of it.
func TestReadMemory(t *testing.T) {
	const size = 64 << 20
	// What earlier tests have left behind may go meanwhile.
	stressWait(t, "it is told of", func() bool {
		runtime.GC()
		before, n := readMemory()
		with, m := func() (int64, uint64) {
			held := make([]byte, size)
			runtime.GC()
			defer runtime.KeepAlive(held)
			return readMemory()
		}()
		if m <= n {
			t.Fatalf("%d collections", m-n)
		}
		runtime.GC()
		after, _ := readMemory()
		t.Logf("%d octets in use, %d with %d more, and then %d", before, with, size, after)
		return with >= before+size*3/4 && after <= with-size*3/4
	})
}

// TestCeiling takes nine tenths of the limit of the runtime, where nothing else is said.
func TestCeiling(t *testing.T) {
	old := debug.SetMemoryLimit(1000 << 20)
	defer debug.SetMemoryLimit(old)
	for setting, want := range map[int64]int64{0: 900 << 20, -1: 0, 5000: 5000} {
		if got := (&Config{MemoryCeiling: setting}).ceiling(); got != want {
			t.Errorf("a setting of %d is a ceiling of %d, want %d", setting, got, want)
		}
	}
}
