package tlsbridge

import (
	"crypto/tls"
	"go/build"
	"strings"
	"testing"
)

// TestSealAllocs wants no allocation of a Seal, of any size that is kept.
func TestSealAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pool at random")
	}
	versions(t, func(t *testing.T, v uint16) {
		for name, segs := range map[string][][]byte{
			"small":      {make([]byte, 30), make([]byte, 9), make([]byte, 13)},
			"contiguous": {make([]byte, 1<<20)},
			"pairs":      pairs(),
			"64 KiB":     pairs()[:8],
		} {
			l := establishedLink(t, v)
			// An average, rounded down: a garbage collection may empty the pool
			// in which crypto/tls keeps its record buffers.
			if n := testing.AllocsPerRun(50, func() {
				if err := l.b.Seal(segs); err != nil {
					t.Fatal(err)
				}
				_ = l.b.Pending()
				l.b.Sent()
			}); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}

// TestReceiveAllocs wants at most the one allocation that is crypto/tls's own:
// an atLeastReader for each time it needs bytes, which here is once a record.
func TestReceiveAllocs(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, size := range []int{40, MaxRecordPayload} {
			const runs = 50
			l := establishedLink(t, v)
			l.p.start(func(c *tls.Conn) error {
				for range runs + 2 {
					if _, err := c.Write(make([]byte, size)); err != nil {
						return err
					}
				}
				return nil
			})
			in := l.p.settle()
			// The client cuts its first records small: not all are of one size.
			var sizes []int
			for _, r := range records(t, in) {
				sizes = append(sizes, recordHeaderLen+len(r.payload))
			}
			l.recv(in[:0])
			open := func([]byte) error { return nil }
			next := func() {
				if err := l.b.Receive(in[:sizes[0]], open); err != nil {
					t.Fatal(err)
				}
				in, sizes = in[sizes[0]:], sizes[1:]
			}
			for len(sizes) > runs+1 {
				next()
			}
			if n := testing.AllocsPerRun(runs, next); n > 1 {
				t.Errorf("records of %d octets: %v allocations each, want crypto/tls's one", size, n)
			}
		}
	})
}

// TestImports keeps the package free of everything but the standard library and what keeps buffers, and
// of what it must not know.
func TestImports(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range pkg.Imports {
		if imp == "github.com/h2loop/h2loop/internal/freelist" {
			continue
		}
		if strings.Contains(imp, ".") || imp == "net/http" || imp == "sync" || imp == "unsafe" {
			t.Errorf("package tlsbridge imports %s", imp)
		}
	}
}
