package files

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/h2loop/h2loop/loop"
)

// errShrunk ends a response whose file has become shorter than was announced.
var errShrunk = errors.New("the file has shrunk")

// read reads n octets of file, from at, into c.
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

// A body is a file on its way out: a [loop.Source] that reads one chunk ahead.
//
// It belongs to the loop, but for what a read needs: while reading is set,
// file, offset, filling and readErr belong to the worker.
type body struct {
	files  *Files
	async  loop.Async
	unsent int64 // octets that no Pull has returned yet
	front  *chunk
	back   *chunk // read, and next to be sent
	err    error
	want   int // octets that the client took at once, of late

	reading  bool
	released bool

	file    *os.File // nil once all is read
	offset  int64    // of what is to be read next
	unread  int64
	size    int // of the chunk to be read
	filling *chunk
	readErr error
}

var _ loop.Source = (*body)(nil)

// newBody takes file and first, its first chunk.
func newBody(f *Files, async loop.Async, file *os.File, first *chunk, s span) *body {
	n := int64(len(first.p))
	b := &body{
		files:  f,
		async:  async,
		unsent: s.length,
		back:   first,
		file:   file,
		offset: s.start + n,
		unread: s.length - n,
	}
	return b
}

// Pull returns the chunk that was read ahead and has the next one read.
func (b *body) Pull(max int) (p []byte, end bool, err error) {
	b.files.buffers.put(b.front)
	b.front = nil
	// The room is sometimes what another response has left of it.
	if b.want /= 2; b.want < max {
		b.want = max
	}
	if b.back == nil {
		return nil, false, b.err
	}
	b.front, b.back = b.back, nil
	b.unsent -= int64(len(b.front.p))
	if b.unsent > 0 {
		b.readAhead()
	}
	return b.front.p, b.unsent == 0, nil
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

func (b *body) readAhead() {
	b.reading = true
	b.size = int(min(int64(b.files.buffers.affordable(b.want)), b.unread))
	if err := b.files.jobs.addAnyway(b); err != nil {
		b.reading, b.err = false, err
	}
}

// run reads the next chunk. A worker calls it.
func (b *body) run() {
	f := b.files
	b.filling = f.buffers.get(b.size)
	b.readErr = b.filling.read(b.file, b.offset, b.size)
	b.offset += int64(b.size)
	b.unread -= int64(b.size)
	if b.readErr != nil {
		f.opts.Logger.Warn().Err(b.readErr).Str("name", b.file.Name()).Msg("a file could not be sent to its end")
	}
	if b.unread == 0 || b.readErr != nil {
		f.closeNow(b.file)
		b.file = nil
	}
	if b.async.Do(b.arrived) != nil {
		// The server has ended. Release has left, or will leave, all this
		// to us, because reading stays set.
		f.buffers.put(b.filling)
		if b.file != nil {
			f.closeNow(b.file)
		}
	}
}

// arrived takes over what the worker has read. x is nil if the exchange is
// over; then Release was called, or is about to be.
func (b *body) arrived(x *loop.Exchange) {
	b.reading = false
	c := b.filling
	b.filling = nil
	if b.readErr != nil {
		b.files.buffers.put(c)
		b.err = fmt.Errorf("files: %w", b.readErr)
	} else {
		b.back = c
	}
	if b.released {
		b.drop()
		return
	}
	if x != nil {
		_ = x.Resume()
	}
}

// A closing closes a file: the last close of one that was deleted meanwhile
// has all of it freed, and takes its time.
type closing struct {
	files *Files
	file  *os.File
}

func (c closing) run() { c.files.closeNow(c.file) }

// closeFile closes a file that was being sent, for the loop.
func (f *Files) closeFile(file *os.File) {
	if f.jobs.addAnyway(closing{f, file}) != nil {
		f.closeNow(file) // f is closed
	}
}

func (f *Files) closeNow(file *os.File) {
	_ = file.Close()
	f.open.Add(-1)
}
