package vhost

import (
	"os"
	"reflect"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/files"
)

// A directory is served by sites of sets, one after the other, as long as neither it nor
// what is said about it changes, so that what is in its cache stays. Whoever uses it
// counts: sets for each of their sites, and requests. It is closed after the last.
type directory struct {
	serve   loop.Handler
	release func()

	root  string
	opts  files.Options
	at    os.FileInfo
	files *files.Files
	log   zerolog.Logger
	users atomic.Int64
}

// take counts a user, and reports false if d was closed.
func (d *directory) take() bool {
	for {
		n := d.users.Load()
		if n == 0 {
			return false
		}
		if d.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// drop ends the use of d. It may be called on a loop, so that closing has a goroutine of
// its own.
func (d *directory) drop() {
	if d.users.Add(-1) == 0 {
		go d.close()
	}
}

func (d *directory) close() {
	if err := d.files.Close(); err != nil {
		d.log.Warn().Err(err).Str("directory", d.root).Msg("closing a directory failed")
	} else {
		d.log.Debug().Str("directory", d.root).Msg("closed")
	}
}

// openDirectory returns the directory that a site describes, counted once: one that old
// has, if it is still the same on disk.
func (h *Hosts) openDirectory(described *config.Site, old *set) (*directory, error) {
	opts := files.Options{
		Index: described.Index, List: described.List, Compress: described.Compress, NotFound: described.NotFound,
		Types: described.Types, Cache: int64(described.MemoryCache),
	}
	for _, rule := range described.Cache {
		opts.CacheControl = append(opts.CacheControl, files.CacheRule{Pattern: rule.Match, Value: rule.Value})
	}
	at, err := os.Stat(described.Root)
	if err != nil {
		return nil, err
	}
	if old != nil {
		for _, s := range old.sites {
			if d := s.dir; d != nil && d.root == described.Root && os.SameFile(d.at, at) && reflect.DeepEqual(d.opts, opts) && d.take() {
				return d, nil
			}
		}
	}
	d := &directory{root: described.Root, opts: opts, at: at, log: h.log}
	opts.Logger = &d.log
	if d.files, err = files.New(described.Root, opts); err != nil {
		return nil, err
	}
	d.serve, d.release = d.files.Handler(wildcard), d.drop
	d.users.Store(1)
	return d, nil
}
