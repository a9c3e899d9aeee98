package files

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/h2loop/h2loop/internal/jobs"
)

const (
	defaultCompressMin = 1 << 10
	defaultCompressMax = 8 << 20

	// compressLevel is that of gzip. The result is kept, so that it may take
	// its time; beyond 6 it is hardly smaller.
	compressLevel = 6

	// zstdWindow is the largest that decoders must allow for, and encoders may
	// use: RFC 9659, Section 3.
	zstdWindow = 8 << 20

	// worthwhile is the part of its length by which a file must become
	// shorter to be sent compressed.
	worthwhile = 20
)

// compressors make representations, as many at once as leave half of the CPUs to
// the loops.
type compressors struct {
	*jobs.Queue
	workers int
	zstd    *zstd.Encoder
	gzips   sync.Pool
}

func newCompressors(bound int) (*compressors, error) {
	workers := max(1, runtime.GOMAXPROCS(0)/2)
	q, err := jobs.New(workers, bound)
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(workers),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithLowerEncoderMem(true))
	if err != nil {
		q.Close()
		return nil, err
	}
	return &compressors{Queue: q, workers: workers, zstd: enc}, nil
}

// encode returns p in a coding.
func (c *compressors) encode(to coding, p []byte) ([]byte, error) {
	if to == zstandard {
		return c.zstd.EncodeAll(p, make([]byte, 0, len(p)/3)), nil
	}
	out := bytes.NewBuffer(make([]byte, 0, len(p)/3))
	w, _ := c.gzips.Get().(*gzip.Writer)
	if w == nil {
		var err error
		if w, err = gzip.NewWriterLevel(out, compressLevel); err != nil {
			return nil, err
		}
	} else {
		w.Reset(out)
	}
	defer c.gzips.Put(w)
	if _, err := w.Write(p); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// offerCompression gives r the representations that we can make.
func (f *Files) offerCompression(r *resource) {
	s := r.reps[identity].stamp
	if !f.opts.Compress || !r.quiet || s.size < f.opts.CompressMin || s.size > min(f.opts.CompressMax, f.cache.limit/largestShare) ||
		isCompressedName(r.name) || !isText(r.kind) {
		return
	}
	for _, c := range []coding{zstandard, gzipped} {
		if r.reps[c] == nil {
			// Weak, for another release of a library may compress it
			// to other octets.
			r.reps[c] = &rep{coding: c, made: true, name: r.name, stamp: s, etag: etagOf(s, c, true)}
		}
	}
}

// isText reports whether files of a type are worth compressing.
func isText(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	if strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") {
		return true
	}
	switch kind {
	case "application/json", "application/jsonl", "application/x-ndjson", "application/javascript", "application/xml", "application/yaml", "application/toml",
		"application/wasm", "application/vnd.apple.mpegurl", "application/rtf", "application/sql",
		"font/otf", "font/ttf", "image/bmp", "image/x-icon":
		return true
	default:
		return false
	}
}

// A flight is who waits for a representation to be made: it is made once for all
// of them.
type flight struct {
	mu      sync.Mutex
	running bool
	waiting []*fetch
}

// await has t wait until p has been made. It reports false if it cannot be; if it
// was made meanwhile, it returns the contents. After true and nil, t is no longer
// the caller's.
func (f *Files) await(r *resource, p *rep, t *fetch) (*blob, bool) {
	p.flight.mu.Lock()
	defer p.flight.mu.Unlock()
	if b := p.borrow(); b != nil {
		return b, true
	}
	if p.useless.Load() || len(p.flight.waiting) >= f.opts.Queue {
		return nil, false
	}
	if !p.flight.running {
		if f.compressors.Add(compression{f, r, p}) != nil {
			return nil, false
		}
		p.flight.running = true
	}
	p.flight.waiting = append(p.flight.waiting, t)
	return nil, true
}

// A compression makes a representation, and answers those who wait for it.
type compression struct {
	files *Files
	r     *resource
	p     *rep
}

func (c compression) Run() {
	b, err := c.make()
	if err != nil {
		c.files.opts.Logger.Warn().Err(err).Str("name", c.r.name).Msg("a file could not be compressed")
	}
	if b != nil {
		c.files.cache.keep(c.r, c.p, b)
		defer b.unref()
	}
	c.p.flight.mu.Lock()
	waiting := c.p.flight.waiting
	c.p.flight.waiting, c.p.flight.running = nil, false
	c.p.flight.mu.Unlock()
	for _, t := range waiting {
		if b != nil && b.tryRef() {
			t.outcome = outcome{status: 200, res: c.r, rep: c.p, blob: b, parts: t.outcome.parts}
			t.deliver()
		} else {
			t.plain = true
			c.files.jobs.AddAnyway(t)
		}
	}
}

// make returns the contents, with one reference; nil if they are not to be had.
func (c compression) make() (*blob, error) {
	size := c.p.stamp.size
	if !c.files.cache.reserve(size) {
		return nil, nil
	}
	unused := size
	defer func() { c.files.cache.held.Add(-unused) }()
	var p []byte
	if from := c.r.reps[identity].borrow(); from != nil {
		defer from.unref()
		p = from.p
	} else {
		p = make([]byte, size)
		file, err := c.files.openRep(c.p)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if err := readWhole(file, c.p.stamp, p); err != nil {
			return nil, err
		}
	}
	out, err := c.files.compressors.encode(c.p.coding, p)
	if err != nil {
		return nil, err
	}
	if n := int64(len(out)); n > size-size/worthwhile {
		c.p.useless.Store(true)
		return nil, nil
	}
	out = bytes.Clone(out) // without what append has left behind it
	unused -= int64(len(out))
	return c.files.cache.blobOf(out), nil
}

// readWhole reads a file of which s is known into p, and sees that it has not
// changed meanwhile.
func readWhole(file *os.File, s stamp, p []byte) error {
	if _, err := file.ReadAt(p, 0); err != nil {
		return errShrunk
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if stampOf(info) != s {
		return errShrunk
	}
	return nil
}
