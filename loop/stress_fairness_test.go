package loop

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
)

// An endlessSource is a body that never ends and that costs nothing.
type endlessSource struct{ piece []byte }

func (s endlessSource) Pull(most int) ([]byte, bool, error) {
	return s.piece[:min(len(s.piece), most)], false, nil
}

func (s endlessSource) Release() {}

// TestStressSmallRequestBesideBulk has connections with endless bodies and fast
// readers, and a small request arrive on another one while a batch is written.
// It is to be answered before any connection has had two more batches: those
// that wait have their batch of this round, and then it is polled for.
func TestStressSmallRequestBesideBulk(t *testing.T) {
	t.Run("one reader", func(t *testing.T) { stressSmallBesideBulk(t, 1) })
	t.Run("eight readers", func(t *testing.T) { stressSmallBesideBulk(t, 8) })
}

func stressSmallBesideBulk(t *testing.T, busy int) {
	const trials = 100
	var (
		small   []byte // the request, written by the loop itself: then it has arrived
		client  *stressPeer
		calm    = -1 // batches until the next request, or none
		asked   bool
		between = make([]int, busy)  // batches of each since
		full    = make([]bool, busy) // its socket has been, since or when it was asked
		last    time.Time            // a batch was written
		stood   bool                 // this machine has, since the last answer
		most    int
		looked  int // how often at a connection that had room
		total   int
		batches int
		done    atomic.Int32
	)
	conns := make([]*conn, busy)
	srv := stressServe(t, Config{}, func(srv *Server) {
		piece := make([]byte, 64<<10)
		srv.Handle("GET /big", func(x *Exchange) { _ = x.SendSource(200, -1, endlessSource{piece}) })
		srv.Handle("GET /small", func(x *Exchange) {
			for i, n := range between {
				// One whose socket is full writes when there is room, besides the rounds:
				// that is the case where readers are kept from the CPU.
				if !full[i] && !stood && asked {
					most = max(most, n)
					looked++
				}
				total += n
				between[i], full[i] = 0, conns[i] != nil && conns[i].isBlocked
			}
			stood = false
			if calm = 50; !asked || done.Add(1) == trials {
				calm = -1
			}
			asked = false
			_ = x.SendString(200, "small")
		})
	})
	client = stressDial(t, srv, 1<<20)
	client.endOf(client.get("/small"))
	small, _ = client.request("/small")
	served := stressConnOf(t, srv, client)

	var readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range busy {
		p := stressDial(t, srv, 1<<30)
		c := stressConnOf(t, srv, p)
		stressOnLoop(t, srv, 0, func(*eventLoop) {
			spy := stressSpyOn(c)
			conns[i] = c
			spy.flushed = func() { full[i] = true }
			spy.before = func(int) {
				batches++
				now := time.Now()
				stood = stood || now.Sub(last) > 20*time.Millisecond
				last = now
				if asked {
					between[i]++
					return
				}
				if calm--; calm == 0 && served.isDear {
					calm = 1 // its last turn was long, for want of the CPU: it reads on in a round
				} else if calm == 0 {
					asked = true
					small[8] += 2 // the stream
					if small[8] == 1 {
						small[7]++
					}
					if _, err := unix.Write(client.fd, small); err != nil {
						t.Error(err)
					}
					stressWaitInput(t, served.wire.fd, len(small)) // a busy kernel delivers it later
				}
			}
		})
		p.get("/big")
		readers.Go(func() {
			buf := make([]byte, 256<<10)
			window := 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				n, err := unix.Read(p.fd, buf)
				if errors.Is(err, unix.EINTR) {
					continue
				}
				if err != nil || n == 0 {
					t.Errorf("a reader got %d octets and %v", n, err)
					return
				}
				if window += n; window > 1<<29 {
					b := frames.AppendWindowUpdate(nil, frames.WindowUpdate{Increment: uint32(window)})
					b = frames.AppendWindowUpdate(b, frames.WindowUpdate{StreamID: 1, Increment: uint32(window)})
					p.write(b)
					window = 0
				}
			}
		})
	}
	stressOnLoop(t, srv, 0, func(*eventLoop) { calm = 50 })
	for end := time.Now().Add(stressPatience); done.Load() < trials && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	readers.Wait()
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		t.Logf("%d small requests beside %d connections: %.1f batches of all and at most %d of one before each, of %d that had room",
			done.Load(), busy, float64(total)/trials, most, looked)
		if done.Load() < trials {
			t.Errorf("%d of %d small requests were served", done.Load(), trials)
		}
		if batches < 50*trials || looked == 0 {
			t.Errorf("%d batches, looked at %d times: the test has lost its way", batches, looked)
		}
		// The batch during which the request arrives is not counted.
		if busy == 1 && most > 0 || most > 1 {
			t.Errorf("a connection had %d more batches before the answer", most)
		}
	})
}
