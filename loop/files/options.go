package files

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/rs/zerolog"
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
	// requests are answered with 503. One IPv4 address, or one /64 network of
	// IPv6, has half of what others leave. Files that are sent as one region do
	// not count. Default 4096.
	MaxOpen int

	// MaxBuffered is how many octets of file contents may be in memory before
	// responses make do with the smallest chunks. What the cache holds does
	// not count. Default 8 MiB.
	MaxBuffered int64

	// Cache is how many octets are kept in memory of files of up to 256 KiB
	// and of what compression has made of files. Default 64 MiB; negative
	// for none.
	Cache int64

	// CacheValid is for how long what is in the cache is served before the
	// disk is asked whether the file has changed: a change is seen after
	// so long at most. A file that is in demand is compared at half that
	// age, while it is served. Default 1 s.
	CacheValid time.Duration

	// IgnoreSiblings has files be served without regard to those beside them
	// that are compressed: a.css.br, a.css.zst and a.css.gz beside a.css.
	IgnoreSiblings bool

	// Compress has files of text be compressed, with zstd or gzip as the
	// client likes, if none of those beside them will do. The result is kept
	// in the cache, so that there must be one.
	Compress bool

	// CompressMin and CompressMax are the lengths, in octets, of the shortest
	// and the longest file that is compressed. Default 1 KiB and 8 MiB.
	CompressMin, CompressMax int64

	// Index is the name of the file that stands for its directory. Default
	// "index.html".
	Index string

	// List has a directory without such a file answered with a list of what
	// is in it. Default: 404.
	List bool

	// NotFound names the file, relative to the directory, that is sent with
	// status 404; its name may begin with a dot, so that it is not served
	// otherwise. Default: a line of text.
	NotFound string

	// CacheControl says what Cache-Control the files have. Of the rules that
	// match, the first holds.
	CacheControl []CacheRule

	// Types maps file name extensions, in lower case and with the dot, to
	// content types, before and beside the common ones that are known.
	Types map[string]string

	// Logger takes what goes wrong with the disk. Default: no log.
	Logger *zerolog.Logger

	noCache bool // a test wants the disk to be cold
	eager   bool // a test wants files cached that were touched just now
}

// A CacheRule gives files a Cache-Control field.
type CacheRule struct {
	// Pattern says which files: "" all; "assets/" those below a directory;
	// a pattern of [path.Match] without a slash those of that name, anywhere;
	// and one with a slash those of that path, from the root of what is
	// served.
	Pattern string

	// Value is that of the field, as "public, max-age=3600".
	Value string
}

const (
	defaultIndex       = "index.html"
	defaultQueue       = 1024
	defaultMaxOpen     = 4096
	defaultMaxBuffered = 8 << 20
	defaultCache       = 64 << 20
	defaultCacheValid  = time.Second
	minWorkers         = 16
)

func (opts *Options) withDefaults() Options {
	o := *opts
	orElse(&o.Workers, max(minWorkers, 4*runtime.GOMAXPROCS(0)))
	orElse(&o.Queue, defaultQueue)
	orElse(&o.MaxOpen, defaultMaxOpen)
	orElse(&o.MaxBuffered, defaultMaxBuffered)
	orElse(&o.CacheValid, defaultCacheValid)
	orElse(&o.CompressMin, defaultCompressMin)
	orElse(&o.CompressMax, defaultCompressMax)
	if o.Cache == 0 {
		o.Cache = defaultCache
	}
	if o.Index == "" {
		o.Index = defaultIndex
	}
	if o.Logger == nil {
		nop := zerolog.Nop()
		o.Logger = &nop
	}
	return o
}

func orElse[T int | int64 | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// validate says what is wrong with opts, by the name of the field.
func (opts *Options) validate() error {
	switch {
	case opts.Compress && opts.Cache < 0:
		return errors.New("Options.Compress needs Options.Cache, which is negative")
	case opts.CompressMin > 0 && opts.CompressMax > 0 && opts.CompressMin > opts.CompressMax:
		return errors.New("Options.CompressMin is more than Options.CompressMax")
	case opts.Index != "" && (!isVisible(opts.Index) || strings.ContainsAny(opts.Index, "/\x00")):
		return fmt.Errorf("Options.Index: %q cannot be the name of a file that is served", opts.Index)
	}
	for i, rule := range opts.CacheControl {
		if _, err := path.Match(rule.Pattern, ""); err != nil {
			return fmt.Errorf("Options.CacheControl[%d].Pattern: %q is no pattern", i, rule.Pattern)
		}
		if !isFieldValue(rule.Value) || rule.Value == "" {
			return fmt.Errorf("Options.CacheControl[%d].Value: %q cannot be the value of a header", i, rule.Value)
		}
	}
	for ext, kind := range opts.Types {
		if !strings.HasPrefix(ext, ".") || ext != strings.ToLower(ext) {
			return fmt.Errorf("Options.Types: %q is no extension in lower case, with the dot", ext)
		}
		if !isFieldValue(kind) || !strings.Contains(kind, "/") {
			return fmt.Errorf("Options.Types[%q]: %q is no content type", ext, kind)
		}
	}
	return nil
}

// isFieldValue reports whether s may be sent in a header.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == strings.TrimSpace(s)
}

// cacheControlOf returns the Cache-Control of the file with that name, or "".
func (opts *Options) cacheControlOf(name string) string {
	for _, rule := range opts.CacheControl {
		if rule.matches(name) {
			return rule.Value
		}
	}
	return ""
}

func (r CacheRule) matches(name string) bool {
	switch {
	case r.Pattern == "":
		return true
	case strings.HasSuffix(r.Pattern, "/"):
		return strings.HasPrefix(name, strings.TrimPrefix(r.Pattern, "/"))
	case !strings.Contains(r.Pattern, "/"):
		name = path.Base(name)
	}
	ok, _ := path.Match(strings.TrimPrefix(r.Pattern, "/"), name)
	return ok
}
