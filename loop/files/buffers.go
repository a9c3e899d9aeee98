package files

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/internal/freelist"
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
const budgetShare = 8

// A chunk holds file contents on their way out. It belongs to one response at
// a time.
type chunk struct {
	p     []byte // what was read
	space []byte
	iov   [1][]byte // for one read
	class int
	taken bool
}

// trimEvery is how often chunks go that nobody has needed meanwhile. A sync.Pool
// would forget them at each collection, and fresh memory costs more than reading a
// file into it.
const trimEvery = 500 * time.Millisecond

// buffers lends chunks.
type buffers struct {
	budget int64
	used   atomic.Int64 // octets in chunks that are taken
	taken  atomic.Int64 // chunks

	mu   sync.Mutex
	free [len(chunkSizes)]freelist.List[*chunk]
	kept int64 // octets in free
	late bool  // forget is to run
}

// fits reports whether a chunk of size octets is within its share.
func (b *buffers) fits(size int) bool {
	return int64(size) <= (b.budget-b.used.Load())/budgetShare
}

// affordable returns how large a chunk of a file of many may be: the first size
// that holds want octets, unless that is more than most or does not fit.
func (b *buffers) affordable(want, most int) int {
	class := classOf(min(want, maxChunk))
	for chunkSizes[class] > minChunk && (chunkSizes[class] > most || !b.fits(chunkSizes[class])) {
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
	c := b.pop(class)
	if c == nil {
		b.makeRoom(chunkSizes[class])
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
	b.push(c)
}

func (b *buffers) pop(class int) *chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.free[class].Pop()
	if c != nil {
		b.kept -= int64(len(c.space))
	}
	return c
}

// makeRoom drops chunks that nobody uses, the largest first, so that another of size
// octets is within the budget.
func (b *buffers) makeRoom(size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for class := len(b.free) - 1; class >= 0; class-- {
		for b.free[class].Len() > 0 && b.used.Load()+b.kept+int64(size) > b.budget {
			b.kept -= int64(len(b.free[class].Pop().space))
		}
	}
}

// push keeps c for later, if that and what is in use are within the budget.
func (b *buffers) push(c *chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := int64(len(c.space))
	if b.used.Load()+b.kept+size > b.budget {
		return
	}
	b.free[c.class].Push(c, math.MaxInt)
	b.kept += size
	if !b.late {
		b.late = true
		time.AfterFunc(trimEvery, b.forget)
	}
}

// forget drops chunks that nobody has needed since it last ran.
func (b *buffers) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = 0
	for class := range b.free {
		b.free[class].Trim(0)
		b.kept += int64(b.free[class].Len()) * int64(chunkSizes[class])
	}
	if b.late = b.kept > 0; b.late {
		time.AfterFunc(trimEvery, b.forget)
	}
}
