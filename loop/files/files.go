package files

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/internal/jobs"
	"github.com/h2loop/h2loop/loop"
)

// Options say how files are served. The zero value of each field means the
// default that its comment names.
type Options struct {
	// Workers is how many goroutines at most touch the disk at once.
	// Default: four for each of GOMAXPROCS, at least 16.
	Workers int

	// Queue is how many requests may wait for a worker; more are answered
	// with 503. Default 1024.
	Queue int

	// MaxOpen is how many files may be in the middle of being sent; more
	// requests are answered with 503. Files that are sent as one region do
	// not count. Default 4096.
	MaxOpen int

	// MaxBuffered is how many octets of file contents may be in memory before
	// responses make do with the smallest chunks. Default 64 MiB.
	MaxBuffered int64

	// Types maps file name extensions, in lower case and with the dot, to
	// content types, before and beside the common ones that are known.
	Types map[string]string

	// Logger takes what goes wrong with the disk. Default: no log.
	Logger *zerolog.Logger

	noCache bool // a test wants the disk to be cold
}

const (
	defaultQueue       = 1024
	defaultMaxOpen     = 4096
	defaultMaxBuffered = 64 << 20
	minWorkers         = 16
)

func (opts Options) withDefaults() Options {
	if opts.Workers <= 0 {
		opts.Workers = max(minWorkers, 4*runtime.GOMAXPROCS(0))
	}
	if opts.Queue <= 0 {
		opts.Queue = defaultQueue
	}
	if opts.MaxOpen <= 0 {
		opts.MaxOpen = defaultMaxOpen
	}
	if opts.MaxBuffered <= 0 {
		opts.MaxBuffered = defaultMaxBuffered
	}
	if opts.Logger == nil {
		nop := zerolog.Nop()
		opts.Logger = &nop
	}
	return opts
}

// Files serves the files of a directory. Its methods may be called from any
// goroutine.
type Files struct {
	opts    Options
	root    *os.Root
	jobs    *jobs.Queue
	buffers buffers
	open    atomic.Int64 // files in the middle of being sent
}

// New opens the directory root, to be served.
func New(root string, opts Options) (*Files, error) {
	opts = opts.withDefaults()
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	q, err := jobs.New(opts.Workers, opts.Queue)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("files: making a pool: %w", err), r.Close())
	}
	f := &Files{opts: opts, root: r, jobs: q}
	f.buffers.budget = opts.MaxBuffered
	return f, nil
}

// Close lets go of the directory. Responses that are being sent go on; requests
// yet to come are answered with 503.
func (f *Files) Close() error {
	f.jobs.Close()
	return f.root.Close()
}

// Handler returns a handler that serves the file whose path is what the named
// wildcard of the route's pattern matched, as in
//
//	srv.Handle("/static/{path...}", f.Handler("path"))
//
// An empty name stands for the whole path of the request. Headers that are set
// before the handler is called, such as Cache-Control, are sent with the file.
func (f *Files) Handler(wildcard string) loop.Handler {
	return func(x *loop.Exchange) {
		if m := x.Method(); m != "GET" && m != "HEAD" {
			_ = x.SetHeader("allow", "GET, HEAD")
			sendText(x, 405, "Method Not Allowed")
			return
		}
		name, ok := pathOf(x, wildcard)
		if !ok {
			sendText(x, 404, notFound)
			return
		}
		if err := f.jobs.Add(newFetch(f, x, name)); err != nil {
			sendBusy(x)
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
	return name, isServable(name)
}

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

// isServable reports whether each element of name may be the name of a file
// that is served: not empty, not hidden, neither "." nor "..".
func isServable(name string) bool {
	if strings.IndexByte(name, 0) >= 0 {
		return false
	}
	name = strings.TrimSuffix(name, "/")
	if name == "" {
		return true
	}
	for elem := range strings.SplitSeq(name, "/") {
		if elem == "" || elem[0] == '.' {
			return false
		}
	}
	return true
}

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
