package files

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/h2loop/h2loop/internal/jobs"
	"github.com/h2loop/h2loop/loop"
)

// Files serves the files of a directory. Its methods may be called from any
// goroutine.
type Files struct {
	opts        Options
	root        *os.Root
	jobs        *jobs.Queue
	compressors *compressors // nil if nothing is to be compressed
	buffers     buffers
	cache       cache
	lookups     lookups
	places      places
	closed      atomic.Bool
	started     time.Time
	lastMissing atomic.Pointer[missingPage]
}

// New opens the directory root, to be served. An error about opts names the field.
func New(root string, opts Options) (*Files, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	opts = opts.withDefaults()
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	f := &Files{opts: opts, root: r, started: time.Now()}
	f.buffers.budget = opts.MaxBuffered
	f.places = places{most: opts.MaxOpen, of: make(map[netip.Prefix]int)}
	f.cache.init(opts.Cache)
	if opts.Cache > 0 {
		f.lookups.init(waitersPerPlace * opts.Queue)
	}
	if err := f.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("files: %w", err), r.Close())
	}
	return f, nil
}

func (f *Files) start() (err error) {
	if f.opts.NotFound != "" {
		if _, err := f.readMissingPage(); err != nil {
			return fmt.Errorf("Options.NotFound: %w", err)
		}
	}
	if f.jobs, err = jobs.New(f.opts.Workers, f.opts.Queue); err != nil {
		return fmt.Errorf("making a pool: %w", err)
	}
	if f.opts.Compress {
		if f.compressors, err = newCompressors(f.opts.Queue); err != nil {
			f.jobs.Close()
			return fmt.Errorf("making compressors: %w", err)
		}
	}
	return nil
}

// Close lets go of the directory. Responses that are being sent go on; requests
// yet to come are answered with 503.
func (f *Files) Close() error {
	f.closed.Store(true)
	f.jobs.Close()
	if f.compressors != nil {
		f.compressors.Close()
	}
	f.cache.clear()
	return f.root.Close()
}

// now is the clock by which the age of what is cached is told.
func (f *Files) now() int64 { return int64(time.Since(f.started)) }

// Handler returns a handler that serves the file whose path is what the named
// wildcard of the route's pattern matched, as in
//
//	srv.Handle("/static/{path...}", f.Handler("path"))
//
// An empty name stands for the whole path of the request. Headers that are set
// before the handler is called, such as Cache-Control, are sent with the file; Vary is
// added to where there is a choice of encodings.
func (f *Files) Handler(wildcard string) loop.Handler {
	return func(x *loop.Exchange) {
		if m := x.Method(); m != "GET" && m != "HEAD" {
			_ = x.SetHeader("allow", "GET, HEAD")
			sendText(x, 405, "Method Not Allowed")
			return
		}
		name, ok := pathOf(x, wildcard)
		if !ok && f.opts.NotFound == "" {
			sendText(x, 404, notFound)
			return
		}
		ask := questionOf(x)
		if ok && f.fromMemory(x, name, &ask) {
			return
		}
		t := newFetch(f, x, name, &ask)
		t.missing = !ok
		if ok && f.lookups.join(t) {
			return
		}
		if f.jobs.Add(t) != nil {
			sendBusy(x)
			if t.leads {
				f.endLookup(name)
			}
		}
	}
}

const notFound = "404 page not found"

// pathOf returns the path of the file that x asks for, relative to the root.
// It ends in a slash, or is empty, if a directory is meant.
func pathOf(x *loop.Exchange, wildcard string) (name string, ok bool) {
	// An encoded slash is part of a name, and no name on disk has one: in
	// the decoded path it would pass for a separator.
	if hasEncodedSlash(x.Path()) {
		return "", false
	}
	if wildcard != "" {
		name = x.PathValue(wildcard)
	} else {
		var err error
		if name, err = url.PathUnescape(strings.TrimPrefix(x.Path(), "/")); err != nil {
			return "", false
		}
	}
	return name, strings.Count(name, "/") <= maxDepth && isServable(name)
}

// maxDepth is how many directories below the root a file may be. os.Root takes each of
// them by itself, and before that it takes the path to pieces, whether there is anything
// or not: a path of 15 000 octets took it half a millisecond.
const maxDepth = 128

func hasEncodedSlash(path string) bool {
	for {
		i := strings.IndexByte(path, '%')
		if i < 0 {
			return false
		}
		if path = path[i+1:]; len(path) >= 2 && path[0] == '2' && path[1]|0x20 == 'f' {
			return true
		}
	}
}

// wellKnown is the one name with a dot before it that is served, in the root: what sites
// are asked for by everybody is below it (RFC 8615).
const wellKnown = ".well-known"

// isServable reports whether each element of name may be the name of a file
// that is served: not empty, not hidden, neither "." nor "..".
func isServable(name string) bool {
	if strings.IndexByte(name, 0) >= 0 {
		return false
	}
	name = strings.TrimSuffix(name, "/")
	if name == "" || name == wellKnown {
		return true
	}
	for elem := range strings.SplitSeq(strings.TrimPrefix(name, wellKnown+"/"), "/") {
		if !isVisible(elem) {
			return false
		}
	}
	return true
}

// isVisible reports whether name may be that of a file which is served wherever it is.
func isVisible(name string) bool { return name != "" && name[0] != '.' }

// retryAfter is how long, in seconds, a client is told to wait if we are busy.
const retryAfter = "1"

func sendBusy(x *loop.Exchange) {
	_ = x.SetHeader("retry-after", retryAfter)
	sendText(x, 503, "Service Unavailable")
}

func sendText(x *loop.Exchange, status int, text string) {
	_ = x.SetHeader("content-type", "text/plain; charset=utf-8")
	_ = x.SetHeader("x-content-type-options", "nosniff")
	_ = x.SendString(status, text+"\n")
}
