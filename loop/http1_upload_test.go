package loop_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// TestHTTP1SlowUpload sends a gigabyte to a handler that takes 1 KiB/s of it, and
// then to one that takes the rest of it at once: meanwhile the client has to wait,
// and memory is bounded.
func TestHTTP1SlowUpload(t *testing.T) {
	const length = 1 << 30
	var taken atomic.Int64
	slow := make(chan struct{}) // closed when there is no hurry any more
	done := make(chan [32]byte, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("POST /", func(x *loop.Exchange) {
			h, async, begin := sha256.New(), x.Async(), time.Now()
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				_, _ = h.Write(p)
				n := taken.Add(int64(len(p)))
				if end {
					done <- [32]byte(h.Sum(nil))
					_ = x.SendString(200, "taken")
					return
				}
				select {
				case <-slow:
					return
				default:
				}
				_ = x.PauseBody()
				go func() {
					select {
					case <-slow:
					case <-time.After(time.Duration(n)*time.Second/1024 - time.Since(begin)):
					}
					_ = async.Do(func(x *loop.Exchange) {
						if x != nil {
							_ = x.ResumeBody()
						}
					})
				}()
			})
		})
	})
	nc := ts.dialHTTP1(cleartext)
	var sent atomic.Int64
	sum := make(chan [32]byte, 1)
	go func() {
		h, piece := sha256.New(), pattern(1<<20)
		_, _ = fmt.Fprintf(nc, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", length)
		for range length >> 20 {
			_, _ = h.Write(piece)
			n, err := nc.Write(piece)
			sent.Add(int64(n))
			if err != nil {
				t.Errorf("after %d octets: %v", sent.Load(), err)
				break
			}
		}
		sum <- [32]byte(h.Sum(nil))
	}()
	for last := int64(-1); last != sent.Load(); time.Sleep(500 * time.Millisecond) {
		last = sent.Load()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("the client has sent %d KiB, of which the handler has taken %d KiB; heap in use by both: %d KiB",
		sent.Load()>>10, taken.Load()>>10, m.HeapInuse>>10)
	if sent.Load() > 64<<20 { // the sockets' buffers, and ours
		t.Errorf("the client could send %d octets", sent.Load())
	}
	close(slow)
	wantResponse(t, bufio.NewReader(nc), "POST", 200, "taken")
	if got, want := wait(t, "the end of the body", done), wait(t, "the end of sending", sum); got != want {
		t.Error("what was taken is not what was sent")
	}
	_ = nc.Close()
}
