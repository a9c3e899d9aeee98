package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/h2"
)

// TestUserTimeout reads TCP_USER_TIMEOUT back from the kernel.
func TestUserTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  Config
		want time.Duration
	}{
		{Config{}, 75 * time.Second},
		{Config{HTTP2: h2.Config{StallTimeout: 2 * time.Minute}}, 135 * time.Second},
		{Config{HTTP2: h2.Config{StallTimeout: -1}}, 75 * time.Second},
		{Config{UserTimeout: 10 * time.Second}, 10 * time.Second},
		{Config{UserTimeout: -1}, 0},
	} {
		srv := stressServe(t, tt.cfg, func(*Server) {})
		c := stressConnOf(t, srv, stressDial(t, srv, 1<<20))
		stressOnLoop(t, srv, 0, func(*eventLoop) {
			ms, err := unix.GetsockoptInt(c.wire.fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if got := time.Duration(ms) * time.Millisecond; err != nil || got != tt.want {
				t.Errorf("TCP_USER_TIMEOUT is %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// TestUserTimeoutEnds has a peer read nothing: with all timeouts of ours switched
// off the kernel ends the connection. See docs/decisions/005.
func TestUserTimeoutEnds(t *testing.T) {
	t.Parallel()
	srv := stressServe(t, Config{UserTimeout: time.Second, HTTP2: h2.Config{StallTimeout: -1, KeepAlive: -1}}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", make([]byte, 32<<20)))
	})
	p := stressDial(t, srv, 1<<30)
	p.get("/big")
	stressWait(t, "the kernel has ended it", func() bool { return srv.openConns() == 0 })
}

// TestAllowance lets the output of all loops together use up the memory for it,
// and none of them its part.
func TestAllowance(t *testing.T) {
	t.Parallel()
	srv := stressServe(t, Config{Loops: 4, MaxHeldOutput: 8 << 20}, func(*Server) {})
	stressWait(t, "the loops run", func() bool { return srv.runningLoops() != nil })
	for _, tt := range []struct{ held, want int64 }{{0, 1 << 20}, {4 << 20, 512 << 10}, {8 << 20, leastBatch}, {9 << 20, leastBatch}} {
		srv.held.Store(tt.held)
		stressOnLoop(t, srv, 1, func(l *eventLoop) {
			if got := l.allowance(); int64(got) != tt.want {
				t.Errorf("%d octets held: a batch may have %d, want %d", tt.held, got, tt.want)
			}
		})
	}
	srv.held.Store(0)
}
