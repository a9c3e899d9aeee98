package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/loop"
)

// errShrunk ends a response whose file has become shorter than was announced.
var errShrunk = errors.New("the file has shrunk")

// read reads n octets of file, from at, into c. It may block.
func (c *chunk) read(file *os.File, at int64, n int) error {
	got, err := file.ReadAt(c.space[:n], at)
	c.p = c.space[:got]
	switch {
	case got == n:
		return nil
	case errors.Is(err, io.EOF):
		return errShrunk
	default:
		return err
	}
}

// readParts reads parts of file, and what goes before each, into c. It may block.
func (c *chunk) readParts(file *os.File, parts []part) error {
	p := c.space[:0]
	for i := range parts {
		p = append(p, parts[i].lead...)
		n := len(p) + int(parts[i].length)
		got, err := file.ReadAt(p[len(p):n], parts[i].start)
		if int64(got) < parts[i].length {
			if errors.Is(err, io.EOF) {
				return errShrunk
			}
			return err
		}
		p = p[:n]
	}
	c.p = p
	return nil
}

// readCached reads up to n octets of file, from at, into c, and only what the
// kernel has in memory: it does not block. It returns errShrunk at the end of
// the file; that nothing is in memory, or that the file system cannot tell, is
// no error.
func (c *chunk) readCached(fd int, at int64, n int) error {
	c.iov[0] = c.space[:n]
	got, err := unix.Preadv2(fd, c.iov[:], at, unix.RWF_NOWAIT)
	c.p = c.space[:max(got, 0)]
	if err == nil && got == 0 {
		return errShrunk
	}
	return nil
}

// A body is a file on its way out: a [loop.Source].
//
// What the kernel has in memory is read on the loop, when it is asked for: that
// is a copy, as the write that follows is. What it has not is read by a worker;
// from then on the body is cold, and a chunk is read ahead of what is being
// sent.
//
// It belongs to the loop, but for what a read needs: while reading is set,
// file, offset, unread, filling, hot and readErr belong to the worker.
type body struct {
	files  *Files
	async  loop.Async
	unsent int64  // octets that no Pull has returned yet
	lead   []byte // goes before what was read
	parts  []part // come after what is being read
	front  *chunk
	back   *chunk // read, and next to be sent
	err    error
	want   int // octets that the client took at once, of late
	cold   bool

	reading  bool
	released bool

	file    *opened // nil once all is read
	fd      int
	offset  int64 // of what is to be read next
	unread  int64
	size    int // of the chunk to be read
	filling *chunk
	hot     bool // it was in memory after all
	readErr error
}

var _ loop.Source = (*body)(nil)

// newBody takes file, of which parts are to be sent.
func newBody(f *Files, async loop.Async, file *opened, parts []part) *body {
	return &body{
		files:  f,
		async:  async,
		unsent: lengthOf(parts),
		lead:   parts[0].lead,
		parts:  parts[1:],
		file:   file,
		fd:     int(file.Fd()),
		offset: parts[0].start,
		unread: parts[0].length,
	}
}

// Pull returns the next chunk.
func (b *body) Pull(max int) (p []byte, end bool, err error) {
	b.files.buffers.put(b.front)
	b.front = nil
	// The room is sometimes what another response has left of it.
	if b.want /= 2; b.want < max {
		b.want = max
	}
	if !b.reading && b.back == nil && b.lead == nil && b.unread == 0 && len(b.parts) > 0 {
		b.nextPart()
	}
	if b.lead != nil {
		p, b.lead = b.lead, nil
		b.unsent -= int64(len(p))
		return p, b.unsent == 0, nil
	}
	if b.back == nil && b.err == nil && !b.reading {
		b.readCached()
	}
	if b.back == nil {
		return nil, false, b.err
	}
	b.front, b.back = b.back, nil
	b.unsent -= int64(len(b.front.p))
	if b.unread > 0 && b.cold {
		b.readAhead()
	}
	return b.front.p, b.unsent == 0, nil
}

// nextPart goes on with the next part.
func (b *body) nextPart() {
	b.lead, b.offset, b.unread = b.parts[0].lead, b.parts[0].start, b.parts[0].length
	b.parts = b.parts[1:]
}

// isRead reports whether no more of the file is needed.
func (b *body) isRead() bool {
	return b.unread == 0 && !slices.ContainsFunc(b.parts, func(p part) bool { return p.length > 0 })
}

// cacheShare is how much memory all chunks together should touch: about what
// caches hold, for between the read and the write that follows, the contents
// had better not leave them.
const cacheShare = 16 << 20

// nextSize says how much to read next: less where many files are open, down to an equal
// share of the budget.
func (b *body) nextSize() int {
	open := max(b.files.places.taken.Load(), 1)
	most := max(cacheShare/2/open, min(firstChunk, b.files.buffers.budget/open))
	size := b.files.buffers.affordable(b.want, int(most))
	return int(min(int64(size), b.unread))
}

// readCached reads the next chunk on the loop, or else has it read.
func (b *body) readCached() {
	n := b.nextSize()
	c := b.files.buffers.get(n)
	if err := b.fillCached(c, n); err != nil {
		b.files.buffers.put(c)
		b.fail(err)
		return
	}
	got := int64(len(c.p))
	if got == 0 {
		b.files.buffers.put(c)
		b.cold = true
		b.readAhead()
		return
	}
	b.back = c
	b.offset += got
	b.unread -= got
	if b.isRead() {
		b.files.closeFile(b.file)
		b.file = nil
	}
}

func (b *body) fillCached(c *chunk, n int) error {
	if b.files.opts.noCache {
		return nil
	}
	return c.readCached(b.fd, b.offset, n)
}

// fail ends the response, at the next Pull.
func (b *body) fail(err error) {
	b.err = fmt.Errorf("files: %w", err)
	if b.file != nil {
		b.files.opts.Logger.Warn().Err(err).Str("name", b.file.Name()).Msg("a file could not be sent to its end")
	}
}

// Release gives back what the body holds; what a worker holds, it gives back
// itself.
func (b *body) Release() {
	b.released = true
	b.files.buffers.put(b.front)
	b.front = nil
	if !b.reading {
		b.drop()
	}
}

// drop gives back what was read, and the file.
func (b *body) drop() {
	b.files.buffers.put(b.back)
	b.back = nil
	if b.file != nil {
		b.files.closeFile(b.file)
		b.file = nil
	}
}

// readAhead has a worker read the next chunk.
func (b *body) readAhead() {
	b.reading = true
	b.size = b.nextSize()
	b.files.jobs.AddAnyway(b)
}

// Run reads the next chunk. A worker calls it.
func (b *body) Run() {
	f := b.files
	c := f.buffers.get(b.size)
	b.filling = c
	b.readErr = b.fillCached(c, b.size)
	if b.hot = len(c.p) == b.size; !b.hot && b.readErr == nil {
		b.readErr = c.read(b.file.File, b.offset, b.size)
	}
	b.offset += int64(b.size)
	b.unread -= int64(b.size)
	if b.async.Do(b.arrived) != nil {
		// The server has ended. Release has left, or will leave, all this
		// to us, because reading stays set.
		f.buffers.put(c)
		f.closeNow(b.file)
	}
}

// arrived takes over what the worker has read. x is nil if the exchange is
// over; then Release was called, or is about to be.
func (b *body) arrived(x *loop.Exchange) {
	b.reading = false
	b.cold = !b.hot
	c := b.filling
	b.filling = nil
	if b.readErr != nil {
		b.files.buffers.put(c)
		b.fail(b.readErr)
	} else {
		b.back = c
	}
	if b.released {
		b.drop()
		return
	}
	if b.file != nil && (b.isRead() || b.err != nil) {
		b.files.closeFile(b.file)
		b.file = nil
	}
	if x != nil {
		_ = x.Resume()
	}
}

// A closing closes a file: the last close of one that was deleted meanwhile
// has all of it freed, and takes its time.
type closing struct {
	files *Files
	file  *opened
}

func (c closing) Run() { c.files.closeNow(c.file) }

// closeFile closes a file that was being sent, for the loop.
func (f *Files) closeFile(file *opened) {
	f.jobs.AddAnyway(closing{f, file})
}

func (f *Files) closeNow(file *opened) {
	_ = file.Close()
	f.places.give(file.by)
}
