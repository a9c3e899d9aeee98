package files

import (
	"sync"
	"sync/atomic"
)

// chunkSizes are the capacities of chunks. One turn of a connection sends one
// chunk of a response at most, and large writes are cheap writes: hence the
// largest, which is the largest batch of a connection. The smallest is for
// small files.
var chunkSizes = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

const (
	minChunk = 16 << 10 // of a file that is sent in several
	maxChunk = 1 << 20
)

// budgetShare is the part of what is left of the budget that one chunk may
// take: the chunks of many slow readers become smaller before they use it up.
const budgetShare = 16

// A chunk holds file contents on their way out. It belongs to one response at
// a time.
type chunk struct {
	p     []byte // what was read
	space []byte
	class int
	taken bool
}

// buffers lends chunks. What is not needed is the garbage collector's.
type buffers struct {
	pools  [len(chunkSizes)]sync.Pool
	budget int64
	used   atomic.Int64 // octets in chunks that are taken
	taken  atomic.Int64 // chunks
}

// fits reports whether a chunk of size octets is within its share.
func (b *buffers) fits(size int) bool {
	return int64(size) <= (b.budget-b.used.Load())/budgetShare
}

// affordable returns how large a chunk for a file of many chunks may be: of
// the sizes there are, the first that holds want octets, or one that fits.
func (b *buffers) affordable(want int) int {
	class := classOf(min(want, maxChunk))
	for chunkSizes[class] > minChunk && !b.fits(chunkSizes[class]) {
		class--
	}
	return max(chunkSizes[class], minChunk)
}

func classOf(size int) (class int) {
	for chunkSizes[class] < size {
		class++
	}
	return class
}

// get takes a chunk with room for size octets, which are maxChunk at most.
func (b *buffers) get(size int) *chunk {
	class := classOf(size)
	c, _ := b.pools[class].Get().(*chunk)
	if c == nil {
		c = &chunk{space: make([]byte, chunkSizes[class]), class: class}
	}
	c.taken = true
	b.used.Add(int64(len(c.space)))
	b.taken.Add(1)
	return c
}

// put gives c back; nil is nothing to give back.
func (b *buffers) put(c *chunk) {
	if c == nil {
		return
	}
	if !c.taken {
		panic("files: chunk given back twice")
	}
	c.p, c.taken = nil, false
	b.used.Add(-int64(len(c.space)))
	b.taken.Add(-1)
	b.pools[c.class].Put(c)
}
