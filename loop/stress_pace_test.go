package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStressPaceMeasures drives a pace with rates and looks at what it wants.
func TestStressPaceMeasures(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		ahead  int32
		rate   int           // octets a millisecond that the path takes
		step   time.Duration // between two looks, at each of which the kernel is filled up
		starve bool          // we write little, and the kernel has nothing left when we look
		want   int64
	}{
		{"slow path", 1 << 20, 1 << 10, 50 * ms, false, 50 << 10},
		{"slow path, little ahead", 64 << 10, 1 << 10, 20 * ms, false, 0},
		{"about right", 256 << 10, 4 << 10, 20 * ms, false, 0},
		{"fast path", 256 << 10, 1 << 20, ms / 10, false, 50 << 20},
		{"stalled", 1 << 20, 0, 100 * ms, false, 1},
		{"faster than we write", 1 << 20, 1 << 10, 20 * ms, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pace{ahead: tt.ahead}
			unsent := int(tt.ahead)
			for now := time.Duration(0); ; now += tt.step {
				if tt.starve {
					unsent = 0
				}
				got := p.measure(unsent, now)
				if got == 0 && now < 2*paceWindow {
					n := int(tt.ahead) - unsent
					if tt.starve {
						n = 64 << 10
					}
					p.wrote(n)
					unsent = unsent + n - int(int64(tt.rate)*int64(tt.step)/int64(ms))
					continue
				}
				if got < tt.want*9/10 || got > tt.want*11/10 {
					t.Errorf("wants %d octets ahead, want %d", got, tt.want)
				}
				return
			}
		})
	}
}

// TestStressPaceIdle sees that time without bulk is not measured.
func TestStressPaceIdle(t *testing.T) {
	p := pace{ahead: 256 << 10}
	now := time.Duration(0)
	for range 50 { // a response every second, that takes a millisecond
		if want := p.measure(1000, now); want != 0 {
			t.Fatalf("after %v: wants %d octets ahead, want no change", now, want)
		}
		p.wrote(4 << 10)
		now += time.Millisecond
		p.measure(1000, now)
		p.stop()
		now += time.Second
	}
}

// TestStressPaceOfReaders has one reader take a MiB a second and another all it
// gets: the kernel comes to hold little for the first and much for the second.
func TestStressPaceOfReaders(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", make([]byte, 64<<20)))
	})
	dial := func() (*stressPeer, *conn) {
		fd := stressSocket(t)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 128<<10); err != nil {
			t.Fatal(err)
		}
		stressConnect(t, fd, srv.Addrs()[0])
		p := stressStart(t, fd, 1<<31-1)
		return p, stressConnOf(t, srv, p)
	}
	look := func(c *conn) (ahead, unsent int) {
		stressOnLoop(t, srv, 0, func(*eventLoop) {
			ahead = int(c.pace.ahead)
			unsent, _ = unix.IoctlGetInt(c.wire.fd, unix.SIOCOUTQNSD)
			// Otherwise epoll and we are not of one mind, and spin.
			if n, err := unix.GetsockoptInt(c.wire.fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); n != ahead {
				t.Errorf("TCP_NOTSENT_LOWAT is %d (%v), want %d", n, err, ahead)
			}
		})
		return ahead, unsent
	}
	t.Run("fast", func(t *testing.T) {
		p, c := dial()
		for end := time.Now().Add(stressPatience); ; {
			p.endOf(p.get("/big"))
			ahead, _ := look(c)
			if ahead == defaultSendLowWater {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("writes %d octets ahead of a fast reader, want %d", ahead, defaultSendLowWater)
			}
		}
	})
	t.Run("slow", func(t *testing.T) {
		p, c := dial()
		p.get("/big")
		for end := time.Now().Add(stressPatience); ; time.Sleep(time.Second / 16) {
			p.skim(64 << 10)
			ahead, unsent := look(c)
			if ahead <= 128<<10 && unsent <= 128<<10 {
				t.Logf("%d octets ahead of a slow reader", ahead)
				return
			}
			if time.Now().After(end) {
				t.Fatalf("writes %d octets ahead of a reader of a MiB a second, and %d are unsent", ahead, unsent)
			}
		}
	})
}
