package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/h2loop/h2loop/loop"
)

const (
	maxBulk     = 16 // MiB
	defaultBulk = 8

	// What all bulk of one connection gets together: 16 MiB a second. Loopback
	// is so fast that nothing would wait for anything.
	bulkTick    = 20 * time.Millisecond
	bulkPerTick = 16 << 20 / int(time.Second/bulkTick)

	maxBulkName     = 32  // octets
	maxPrioritySeen = 100 // octets of a field that is sent back
)

// A bulk serves long answers that compete, so that priorities can be seen at
// work: those of one connection share a link, which is paced. Their sources know
// nothing of priorities: whoever is asked first takes what the link has left, and
// the scheduler of the connection says who that is.
type bulk struct {
	mu    sync.Mutex // for links and all that is in them: loops share a bulk
	links map[linkKey]*link
}

// A linkKey names a connection; on a unix socket each answer has a link to itself.
type linkKey struct{ remote, local netip.AddrPort }

// A link is there while answers use it, and has one timer at most.
type link struct {
	users   int
	left    int          // octets of this tick
	waiting []loop.Async // for the next tick, which is under way if there are any
}

func newBulk() *bulk { return &bulk{links: make(map[linkKey]*link)} }

// send sends so many octets. The name is the client's: a URL for each answer.
func (b *bulk) send(x *loop.Exchange) {
	if len(x.PathValue("name")) > maxBulkName {
		_ = x.SendString(404, fmt.Sprintf("a name has %d octets at most\n", maxBulkName))
		return
	}
	mib, ok := queryNumber(x, "mib", defaultBulk, 1, maxBulk, "MiB")
	if !ok {
		return
	}
	_ = x.SetHeader("content-type", "text/plain; charset=utf-8")
	_ = x.SetHeader("x-content-type-options", "nosniff")
	_ = x.SetHeader("cache-control", "no-store")
	_ = x.SetHeader("x-priority-seen", prioritySeen(x))
	src := &bulkSource{bulk: b, left: mib << 20, async: x.Async()}
	src.key = linkKey{x.RemoteAddr(), x.LocalAddr()}
	src.link = b.join(src.key)
	_ = x.SendSource(200, int64(src.left), src)
}

// prioritySeen returns the Priority field of the request (RFC 9218, Section 5),
// or "none".
func prioritySeen(x *loop.Exchange) string {
	seen := ""
	for name, value := range x.Headers {
		if name == "priority" {
			if seen != "" {
				seen += ", "
			}
			seen += value
		}
	}
	if seen == "" {
		return "none"
	}
	return seen[:min(len(seen), maxPrioritySeen)]
}

func (b *bulk) join(key linkKey) *link {
	if !key.remote.IsValid() {
		return &link{users: 1}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[key]
	if l == nil {
		l = new(link)
		b.links[key] = l
	}
	l.users++
	return l
}

// take returns how many of n octets src may send now. If there are none, src is
// asked again at the next tick.
func (b *bulk) take(src *bulkSource, n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := src.link
	n = min(n, l.left)
	l.left -= n
	if n == 0 {
		if l.waiting = append(l.waiting, src.async); len(l.waiting) == 1 {
			time.AfterFunc(bulkTick, func() { b.tick(l) })
		}
	}
	return n
}

// tick has all who wait asked again, in one turn of the loop: else it would be
// the order of the calls that decides.
func (b *bulk) tick(l *link) {
	b.mu.Lock()
	waiting := l.waiting
	l.left, l.waiting = bulkPerTick, nil
	b.mu.Unlock()
	_ = waiting[0].Do(func(*loop.Exchange) {
		for _, a := range waiting {
			_ = a.Resume()
		}
	})
}

func (b *bulk) leave(src *bulkSource) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if src.link.users--; src.link.users == 0 {
		delete(b.links, src.key)
	}
}

// bulkBlock is what all bulk is made of: an answer holds no octets of its own. It
// is as much as a link gives in a tick: a source is asked once for each batch of
// output, and what it leaves of that, less urgent ones take.
var bulkBlock = bytes.Repeat([]byte("What is urgent goes first, as far as the windows of peers allow\n"), bulkPerTick/64)

// A bulkSource yields so many octets, as its link allows.
type bulkSource struct {
	bulk  *bulk
	key   linkKey
	link  *link
	async loop.Async
	left  int
}

func (s *bulkSource) Pull(n int) (p []byte, end bool, err error) {
	n = s.bulk.take(s, min(n, s.left, len(bulkBlock)))
	s.left -= n
	return bulkBlock[:n], s.left == 0, nil
}

func (s *bulkSource) Release() { s.bulk.leave(s) }
