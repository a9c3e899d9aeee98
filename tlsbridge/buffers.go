package tlsbridge

import "github.com/h2loop/h2loop/internal/freelist"

const (
	// smallBuf holds the answers of a turn with some dozens of small
	// requests, alerts and tickets.
	smallBuf = 8 << 10
	// mediumBuf is the smallest batch of a connection that sends in bulk, and
	// the largest buffer of which more than one is kept.
	mediumBuf = 64 << 10
	// largeBuf holds a batch of 1 MiB sealed, with some room: 64 records of
	// any cipher suite need less than 5 KiB more.
	largeBuf = 1<<20 + 1<<16

	// A buffer is on loan from Seal to Sent, in the same turn as a rule, so
	// that few are out at a time. At most 512 KiB are kept, and one large.
	keepSmall  = 32
	keepMedium = 4
)

// Buffers are the buffers that the bridges of one event loop share. They are
// not safe for concurrent use.
type Buffers struct {
	plain []byte // what one record held; lent to the callback of Receive
	stage []byte // one record's worth of small segments; full only inside Seal

	small  freelist.List[[]byte] // each of capacity smallBuf
	medium freelist.List[[]byte] // each of capacity mediumBuf
	large  []byte                // nil, or of a capacity in (mediumBuf, largeBuf]
	needed bool                  // large, since Trim
}

// NewBuffers returns the buffers of one event loop.
func NewBuffers() *Buffers {
	return &Buffers{
		plain: make([]byte, MaxRecordPayload),
		stage: make([]byte, MaxRecordPayload),
	}
}

// get returns an empty output buffer with room for n octets.
func (f *Buffers) get(n int) []byte {
	switch {
	case n <= smallBuf:
		return orMake(f.small.Pop(), smallBuf)
	case n <= mediumBuf:
		return orMake(f.medium.Pop(), mediumBuf)
	case n <= cap(f.large):
		b := f.large
		f.large = nil
		return b
	case n <= largeBuf:
		// Batches grow from 64 KiB to 1 MiB by doubling. Sizes that follow
		// them, with a sixteenth for the records' overhead, let each step
		// reuse the buffer of the one before.
		size := mediumBuf * 2
		for size+size/16 < n {
			size *= 2
		}
		return make([]byte, 0, size+size/16)
	default:
		return make([]byte, 0, n)
	}
}

// put gives back a buffer of get. Any other is left to the garbage collector,
// and so is what is not worth keeping.
func (f *Buffers) put(b []byte) {
	b = b[:0]
	switch c := cap(b); {
	case c == smallBuf:
		f.small.Push(b, keepSmall)
	case c == mediumBuf:
		f.medium.Push(b, keepMedium)
	case c > mediumBuf && c <= largeBuf && c > cap(f.large):
		f.large, f.needed = b, true
	}
}

func orMake(b []byte, size int) []byte {
	if b == nil {
		return make([]byte, 0, size)
	}
	return b
}

// Trim forgets buffers that nobody has needed since it was last called.
func (f *Buffers) Trim() {
	f.small.Trim(1)
	f.medium.Trim(0)
	if !f.needed {
		f.large = nil
	}
	f.needed = false
}
