package files

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
)

// places counts the files in the middle of being sent. An address has half of the places
// that others leave, so that responses which do not move, of one client, keep no other's
// from beginning. Clients on a unix socket have no address, and all places.
type places struct {
	most  int
	taken atomic.Int64 // for those who do not hold mu

	mu sync.Mutex
	of map[netip.Prefix]int // those of an address that has some
}

// An opened is a file that has a place.
type opened struct {
	*os.File
	by netip.Prefix
}

// take reports whether there is a place for by, which is its own then.
func (p *places) take(by netip.Prefix) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, all := p.of[by], int(p.taken.Load())
	left := p.most - (all - own) // by others
	if by.IsValid() {
		left = (left + 1) / 2
	}
	if own >= left {
		return false
	}
	p.of[by]++
	p.taken.Add(1)
	return true
}

func (p *places) give(by netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken.Add(-1)
	if p.of[by]--; p.of[by] == 0 {
		delete(p.of, by)
	}
}
