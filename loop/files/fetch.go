package files

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/internal/origin"
	"github.com/h2loop/h2loop/loop"
)

// smallFile is the length up to which a file is read whole, in one job.
const smallFile = 256 << 10

// firstChunk is what the kernel is told to have in memory of a larger file. It is
// read when the client has room for it.
const firstChunk = 64 << 10

// A fetch is one request for a file. The loop makes it, a worker fills in the
// outcome, and the loop answers: it belongs to one of them at a time.
type fetch struct {
	files *Files
	async loop.Async
	name  string // relative to the root; ends in a slash if a directory is meant
	ask   question
	raw   string // the request's path as it came, for a redirect
	query string
	by    netip.Prefix // who asks

	leads   bool // others wait for what it finds
	missing bool // there can be no such file
	plain   bool // nothing is to be compressed for it

	outcome outcome
	page    *page // a page that is no file
}

func newFetch(f *Files, x *loop.Exchange, name string, ask *question) *fetch {
	return &fetch{
		files: f,
		async: x.Async(),
		name:  name,
		ask:   *ask,
		raw:   x.Path(),
		query: x.RawQuery(),
		by:    origin.Of(x.RemoteAddr().Addr()),
	}
}

// Run finds the file and reads the beginning of what is asked for.
func (t *fetch) Run() {
	f, name, leads := t.files, t.name, t.leads
	t.leads = false
	if t.async.Done() {
		if leads {
			f.endLookup(name)
		}
		return
	}
	err := t.load()
	if leads {
		f.endLookup(name)
	}
	switch {
	case errors.Is(err, errWaits): // it is somebody else's now
		return
	case err != nil:
		t.outcome.drop(f)
		t.outcome = outcome{status: t.statusOf(err)}
	}
	if t.outcome.status == 404 {
		t.page = f.missingPage()
	}
	t.deliver()
}

// deliver has the loop answer.
func (t *fetch) deliver() {
	if t.async.Do(t.answer) != nil {
		t.outcome.drop(t.files) // the server has ended
	}
}

// Why there is no file to send, besides what the system says.
var (
	errIsDir     = errors.New("a directory")
	errNotFile   = errors.New("not a regular file")
	errTooMany   = errors.New("too many files are being sent")
	errUnsettled = errors.New("the file keeps changing while it is read")

	// errWaits says that a fetch waits for a representation to be made.
	errWaits = errors.New("waits")
)

// statusOf says what to answer instead of a file, and logs what the operator
// should see to.
func (t *fetch) statusOf(err error) int {
	switch {
	case errors.Is(err, errIsDir):
		return 301
	case errors.Is(err, errTooMany), errors.Is(err, os.ErrClosed):
		return 503
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		t.files.opts.Logger.Warn().Err(err).Msg("a file cannot be opened for want of resources")
		return 503
	case errors.Is(err, fs.ErrPermission):
		return 403
	case errors.Is(err, errUnsettled), isFault(err):
		t.files.opts.Logger.Error().Err(err).Str("name", t.name).Msg("a file cannot be read")
		return 500
	default:
		return 404
	}
}

// isFault reports whether err is of the disk, and not of the name: that there is no
// such file must not be said where nobody knows.
func isFault(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false // also of a link that leads out
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.EILSEQ,
		syscall.ENXIO: // a socket
		return false
	default:
		return true
	}
}

// load fills in the outcome.
func (t *fetch) load() error {
	if t.missing {
		return fs.ErrNotExist
	}
	for range 3 {
		// Nothing is sent yet, so begin again with what is there now.
		err := t.loadOnce()
		if errors.Is(err, errShrunk) {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) && t.files.opts.List && isDirName(t.name) {
			return t.list()
		}
		return err
	}
	return errUnsettled
}

func isDirName(name string) bool { return name == "" || strings.HasSuffix(name, "/") }

func (t *fetch) loadOnce() error {
	file, r, err := t.files.look(t.name)
	if err != nil {
		return err
	}
	if r.quiet {
		t.files.cache.add(r)
	}
	keep, err := t.read(file, r)
	if !keep {
		_ = file.Close()
	}
	return err
}

// read decides on the answer and reads the beginning of what it needs of r, whose
// file is open. It reports true if file is to stay open for the rest.
func (t *fetch) read(file *os.File, r *resource) (keep bool, err error) {
	p := r.choose(t.ask.acceptEncoding, t.wantsMade(r))
	if p == nil {
		t.outcome.take(406, r, nil, nil)
		return false, nil
	}
	status, spans := t.ask.decide(r, p)
	t.outcome.take(status, r, p, spans)
	if status >= 300 {
		return false, nil
	}
	if p.made {
		b, ok := t.files.await(r, p, t)
		switch {
		case ok && b == nil:
			return false, errWaits
		case ok:
			t.outcome.blob = b
			return false, nil
		}
		t.plain = true
		return t.read(file, r)
	}
	if t.ask.isHead || t.outcome.length() == 0 {
		return false, nil
	}
	if p.coding != identity {
		other, err := t.files.openRep(p)
		if err != nil {
			t.files.cache.remove(r)
			return false, errShrunk
		}
		keep, err := t.open(other, r, p)
		if !keep {
			_ = other.Close()
		}
		return false, err
	}
	return t.open(file, r, p)
}

// wantsMade reports whether a representation of r that is yet to be made will do.
// One is made for the cache only; and ranges are those of what is there.
func (t *fetch) wantsMade(r *resource) bool {
	return !t.plain && (t.ask.rangeSpec == "" || t.ask.isHead) && r.quiet && t.files.opts.Compress && t.files.cache.has(r)
}

// open reads p, whose file is open: all of it, or the beginning of what is asked
// for. It reports true if file is to stay open for the rest.
func (t *fetch) open(file *os.File, r *resource, p *rep) (keep bool, err error) {
	if ok, err := t.readForCache(file, r, p); ok || err != nil {
		return false, err
	}
	buffers := &t.files.buffers
	length := t.outcome.length()
	if length <= smallFile && buffers.fits(int(length)) {
		t.outcome.chunk = buffers.get(int(length))
		return false, t.filled(t.outcome.chunk.readParts(file, t.partsOf(p)))
	}
	if !t.files.places.take(t.by) {
		return false, errTooMany
	}
	first := t.partsOf(p)[0].span
	_ = unix.Fadvise(int(file.Fd()), first.start, min(first.length, firstChunk), unix.FADV_WILLNEED)
	t.outcome.file = &opened{file, t.by}
	return true, nil
}

func (t *fetch) partsOf(p *rep) []part {
	if t.outcome.parts != nil {
		return t.outcome.parts
	}
	return []part{{span: span{0, p.length()}}}
}

// readForCache reads all of p into memory, if that is small and the cache has
// room.
func (t *fetch) readForCache(file *os.File, r *resource, p *rep) (ok bool, err error) {
	if p.stamp.size > smallFile || !r.quiet {
		return false, nil
	}
	if b := p.borrow(); b != nil {
		t.outcome.blob = b
		return true, nil
	}
	b := t.files.cache.newBlob(p.stamp.size)
	if b == nil {
		return false, nil
	}
	if err := readWhole(file, p.stamp, b.p); err != nil {
		b.unref()
		return false, err
	}
	t.files.cache.keep(r, p, b)
	t.outcome.blob = b
	return true, nil
}

// filled gives the chunk back if it could not be filled.
func (t *fetch) filled(err error) error {
	if err != nil {
		t.files.buffers.put(t.outcome.chunk)
		t.outcome.chunk = nil
	}
	return err
}

// answer answers, on the loop; x is nil if nobody waits any more.
func (t *fetch) answer(x *loop.Exchange) {
	switch {
	case x == nil:
		t.outcome.drop(t.files)
	case t.outcome.status == 301:
		_ = x.SetHeader("location", slashed(t.raw, t.query))
		_ = x.Send(301, nil)
	case t.page != nil:
		t.page.send(x)
	default:
		t.outcome.send(t.files, x, t)
	}
}

// A refresh asks the disk whether a resource that is in demand is still what it
// was, so that nobody has to wait for that.
type refresh struct {
	files *Files
	r     *resource
}

func (j refresh) Run() {
	file, _, err := j.files.look(j.r.key)
	if err == nil {
		_ = file.Close()
	}
	j.r.checking.Store(false)
}

// fromMemory answers on the loop, if what is needed is in memory and was compared
// with the disk lately.
func (f *Files) fromMemory(x *loop.Exchange, name string, ask *question) bool {
	r := f.cache.get(name)
	if r == nil || f.closed.Load() {
		return false
	}
	age := f.now() - r.checked.Load()
	if age >= int64(f.opts.CacheValid) {
		return false
	}
	if age >= int64(f.opts.CacheValid)/2 && !r.checking.Swap(true) && f.jobs.Add(refresh{f, r}) != nil {
		r.checking.Store(false)
	}
	p := r.choose(ask.acceptEncoding, ask.rangeSpec == "" || ask.isHead)
	if p == nil {
		return false
	}
	var out outcome
	status, spans := ask.decide(r, p)
	if status < 300 && (!ask.isHead || p.made) && p.stamp.size > 0 {
		if out.blob = p.borrow(); out.blob == nil {
			return false
		}
	}
	out.take(status, r, p, spans)
	out.send(f, x, nil)
	return true
}
