package files

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// smallFile is the length up to which a file is read whole, in one job.
const smallFile = 256 << 10

// firstChunk is what the job that opens a larger file reads of it. How fast the
// client takes it is not known yet.
const firstChunk = 64 << 10

// indexName is the file that stands for its directory.
const indexName = "index.html"

// A fetch is one request for a file. The loop makes it, a worker fills in the
// outcome, and the loop answers: it belongs to one of them at a time.
type fetch struct {
	files *Files
	async loop.Async
	name  string // relative to the root; ends in a slash if a directory is meant
	ask   question
	raw   string // the request's path as it came, for a redirect
	query string

	status       int // the outcome
	info         fileInfo
	want         span     // of the file
	contentRange string   // for 206 and 416
	file         *os.File // a large file, of which chunk is the beginning
	chunk        *chunk   // nil if the answer has no body
}

// A fileInfo is what the header section says about a file.
type fileInfo struct {
	size     int64
	modified time.Time
	etag     string
	kind     string // content type
}

func newFetch(f *Files, x *loop.Exchange, name string) *fetch {
	return &fetch{
		files: f,
		async: x.Async(),
		name:  name,
		ask:   questionOf(x),
		raw:   x.Path(),
		query: x.RawQuery(),
	}
}

// run opens the file and reads the beginning of what is asked for.
func (t *fetch) Run() {
	if t.async.Done() {
		return
	}
	if err := t.load(); err != nil {
		t.drop()
		t.status = t.statusOf(err)
	}
	if t.async.Do(t.answer) != nil {
		t.drop() // the server has ended
	}
}

// Why there is no file to send, besides what the system says.
var (
	errNotFile   = errors.New("not a regular file")
	errTooMany   = errors.New("too many files are being sent")
	errUnsettled = errors.New("the file keeps changing while it is read")
)

// statusOf says what to answer instead of a file, and logs what the operator
// should see to.
func (t *fetch) statusOf(err error) int {
	switch {
	case errors.Is(err, errTooMany), errors.Is(err, os.ErrClosed):
		return 503
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		t.files.opts.Logger.Warn().Err(err).Msg("a file cannot be opened for want of resources")
		return 503
	case errors.Is(err, fs.ErrPermission):
		return 403
	case errors.Is(err, syscall.EIO), errors.Is(err, errUnsettled):
		t.files.opts.Logger.Error().Err(err).Str("name", t.name).Msg("a file cannot be read")
		return 500
	default:
		return 404 // also a link that leads out, a name too long, a loop of links
	}
}

func (t *fetch) load() error {
	name, isDir := strings.CutSuffix(t.name, "/")
	if isDir || name == "" {
		name, isDir = path.Join(name, indexName), true
	}
	// Without O_NONBLOCK, opening a FIFO would wait for a writer.
	file, err := t.files.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			_ = file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() && !isDir {
		t.status = 301
		return nil
	}
	if !info.Mode().IsRegular() {
		return errNotFile
	}
	for range 3 {
		if keep, err = t.read(file, info, name); !errors.Is(err, errShrunk) {
			return err
		}
		// Nothing is sent yet, so begin again with what is there now.
		if info, err = file.Stat(); err != nil {
			return err
		}
	}
	return errUnsettled
}

// read decides on the answer and reads the beginning of what it needs of file.
// It reports true if file is to stay open for the rest.
func (t *fetch) read(file *os.File, info fs.FileInfo, name string) (keep bool, err error) {
	now := time.Now()
	t.describe(info, name, now)
	t.status, t.want, t.contentRange = t.ask.decide(&t.info, now)
	if t.ask.isHead || t.want.length == 0 || t.status >= 300 {
		return false, nil
	}
	buffers := &t.files.buffers
	if t.want.length <= smallFile && buffers.fits(int(t.want.length)) {
		t.chunk = buffers.get(int(t.want.length))
		return false, t.fill(file, int(t.want.length))
	}
	if t.files.open.Add(1) > int64(t.files.opts.MaxOpen) {
		t.files.open.Add(-1)
		return false, errTooMany
	}
	size := min(int64(buffers.affordable(firstChunk, firstChunk)), t.want.length)
	t.chunk = buffers.get(int(size))
	if err := t.fill(file, int(size)); err != nil {
		t.files.open.Add(-1)
		return false, err
	}
	t.file = file
	return true, nil
}

// fill reads n octets into t.chunk; it gives the chunk back if it fails.
func (t *fetch) fill(file *os.File, n int) error {
	err := t.chunk.read(file, t.want.start, n)
	if err != nil {
		t.files.buffers.put(t.chunk)
		t.chunk = nil
	}
	return err
}

func (t *fetch) describe(info fs.FileInfo, name string, now time.Time) {
	t.info = fileInfo{
		size:     info.Size(),
		modified: info.ModTime(),
		etag:     etagOf(info.Size(), info.ModTime(), now),
		kind:     t.files.typeOf(name),
	}
	// "An origin server with a clock … MUST NOT generate a Last-Modified date
	// that is later than the server's time of message origination (Date, if
	// any)." RFC 9110, Section 8.8.2.1.
	if t.info.modified.After(now) {
		t.info.modified = now
	}
}

// drop gives back what no answer will.
func (t *fetch) drop() {
	t.files.buffers.put(t.chunk)
	t.chunk = nil
	if t.file != nil {
		t.files.closeFile(t.file)
		t.file = nil
	}
}

// answer answers, on the loop; x is nil if nobody waits any more.
func (t *fetch) answer(x *loop.Exchange) {
	if x == nil {
		t.drop()
		return
	}
	switch t.status {
	case 200, 206:
		t.describeTo(x)
		_ = x.SetHeader("content-type", t.info.kind)
		_ = x.SetHeader("x-content-type-options", "nosniff")
		if t.status == 206 {
			_ = x.SetHeader("content-range", t.contentRange)
		}
		t.send(x)
	case 304:
		t.describeTo(x)
		_ = x.Send(304, nil)
	case 301:
		_ = x.SetHeader("location", slashed(t.raw, t.query))
		_ = x.Send(301, nil)
	case 403:
		sendText(x, 403, "403 forbidden")
	case 404:
		sendText(x, 404, notFound)
	case 412:
		sendText(x, 412, "Precondition Failed")
	case 416:
		_ = x.SetHeader("content-range", t.contentRange)
		sendText(x, 416, "Range Not Satisfiable")
	case 503:
		sendBusy(x)
	default:
		sendText(x, 500, "Internal Server Error")
	}
}

func (t *fetch) describeTo(x *loop.Exchange) {
	_ = x.SetHeader("accept-ranges", "bytes")
	_ = x.SetHeader("etag", t.info.etag)
	_ = x.SetHeader("last-modified", httpDate(t.info.modified))
}

// send sends the file, and gives away what t holds.
func (t *fetch) send(x *loop.Exchange) {
	c, file := t.chunk, t.file
	t.chunk, t.file = nil, nil
	switch {
	case t.ask.isHead:
		_ = x.SetHeader("content-length", decimal(t.want.length))
		_ = x.Send(t.status, nil)
	case file != nil:
		_ = x.SendSource(t.status, t.want.length, newBody(t.files, t.async, file, c, t.want))
	case c != nil:
		buffers := &t.files.buffers
		_ = x.SendOwned(t.status, c.p, func() { buffers.put(c) })
	default:
		_ = x.Send(t.status, nil)
	}
}

// slashed returns where a directory that was asked for as path, without a
// slash behind it, is found.
func slashed(path, query string) string {
	// Two slashes, or what a browser takes for them, would begin a host.
	to := "/" + strings.TrimLeft(path, "/\\") + "/"
	to = strings.ReplaceAll(to, "\\", "%5C")
	if query != "" {
		to += "?" + query
	}
	var b strings.Builder
	for i := range len(to) {
		if to[i] < 0x80 {
			b.WriteByte(to[i])
		} else {
			b.WriteString(url.PathEscape(to[i : i+1])) // a field value is ASCII
		}
	}
	return b.String()
}
