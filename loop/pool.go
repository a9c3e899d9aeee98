package loop

import "sync/atomic"

// A bodyPool is the memory for request bodies of all loops of a server. It is an
// [h2.Pool].
type bodyPool struct{ left atomic.Int64 }

func (p *bodyPool) Take(n int) int {
	for {
		left := p.left.Load()
		got := max(0, min(int64(n), left))
		if p.left.CompareAndSwap(left, left-got) {
			return int(got)
		}
	}
}

func (p *bodyPool) Give(n int) { p.left.Add(int64(n)) }
func (p *bodyPool) Left() int  { return int(p.left.Load()) }
