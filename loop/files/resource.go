package files

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A stamp is what tells a version of a file from all others.
type stamp struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // nanoseconds; changed is the inode's, which nobody can set
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode, s.changed = st.Dev, st.Ino, st.Ctim.Nano()
	}
	return s
}

// A resource is a file as it was found on disk, and its representations. All but
// the atomic fields stay as they are: for a file that has changed there is another
// resource.
type resource struct {
	key          string // what was asked for, relative to the root
	name         string // the file, relative to the root
	kind         string // content type
	modified     time.Time
	lastModified string
	cacheControl string
	reps         [codings]*rep // nil where there is none
	negotiated   bool          // there is more than one
	settled      bool          // its validators tell it from the next version
	quiet        bool          // nor was it touched within racy of when it was looked at

	checked  atomic.Int64 // when the disk was last asked, on the clock of Files
	checking atomic.Bool  // it is being asked
	used     atomic.Bool  // since the cache last looked

	cached bool // it is in the cache, whose mu guards it
	slot   int  // in the ring of the cache
}

// A rep is a representation of a resource: the file, one beside it that is
// compressed, or what we make by compressing.
type rep struct {
	coding coding
	made   bool   // by us
	name   string // of the file it is made or read from
	stamp  stamp  // of that file
	etag   string

	content atomic.Pointer[blob] // nil if it is not in memory
	useless atomic.Bool          // compressing does not make it smaller
	flight  flight               // of those who wait for it to be made
}

// racy is how long a file must have been left alone for its validators to tell
// it from the next version: the clock of a file system does not tick often, and
// Last-Modified has whole seconds.
const racy = time.Second

// look finds what key stands for: an open file, and what there is to say of it. It
// asks the disk. What is known of the same version already is kept.
func (f *Files) look(key string) (*os.File, *resource, error) {
	now := f.now()
	file, r, err := f.find(key)
	old := f.cache.get(key)
	if old == nil {
		if err == nil {
			r.checked.Store(now)
		}
		return file, r, err
	}
	if err == nil && old.isSame(r) {
		r = old
	} else {
		f.cache.remove(old)
	}
	if err == nil {
		r.checked.Store(now)
	}
	return file, r, err
}

// isSame reports whether both are of the same versions of the same files.
func (r *resource) isSame(as *resource) bool {
	if r.name != as.name {
		return false
	}
	for c := range codings {
		a, b := r.reps[c], as.reps[c]
		if (a == nil) != (b == nil) || a != nil && (a.made != b.made || a.stamp != b.stamp) {
			return false
		}
	}
	return true
}

func (f *Files) find(key string) (*os.File, *resource, error) {
	name, isDir := strings.CutSuffix(key, "/")
	if isDir || name == "" {
		name, isDir = path.Join(name, f.opts.Index), true
	}
	file, info, err := f.openFile(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		_ = file.Close()
		if info.IsDir() && !isDir {
			return nil, nil, errIsDir
		}
		return nil, nil, errNotFile
	}
	return file, f.describe(key, name, info), nil
}

// openFile opens what may be a file.
func (f *Files) openFile(name string) (*os.File, fs.FileInfo, error) {
	// Without O_NONBLOCK, opening a FIFO would wait for a writer.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// describe says what there is to say of a file, and finds the files beside it.
func (f *Files) describe(key, name string, info fs.FileInfo) *resource {
	now := time.Now()
	r := &resource{
		key:          key,
		name:         name,
		kind:         f.typeOf(name),
		modified:     info.ModTime(),
		cacheControl: f.opts.cacheControlOf(name),
	}
	s := stampOf(info)
	r.settled = now.Sub(r.modified) > racy
	r.quiet = r.settled && (now.UnixNano()-s.changed > int64(racy) || f.opts.eager)
	r.reps[identity] = &rep{name: name, stamp: s, etag: etagOf(s, identity, !r.settled)}
	// "An origin server with a clock … MUST NOT generate a Last-Modified date
	// that is later than the server's time of message origination (Date, if
	// any)." RFC 9110, Section 8.8.2.1.
	if r.modified.After(now) {
		r.modified = now
	}
	r.modified = r.modified.Truncate(time.Second)
	r.lastModified = httpDate(r.modified)
	f.findSiblings(r, now)
	f.offerCompression(r)
	for _, other := range r.reps[1:] {
		r.negotiated = r.negotiated || other != nil
	}
	return r
}

// findSiblings looks for files that are the same, compressed. One that is older
// than the file, in whole seconds as some tools copy times, is of another version
// of it, and does not count.
func (f *Files) findSiblings(r *resource, now time.Time) {
	if f.opts.IgnoreSiblings || isCompressedName(r.name) {
		return
	}
	for c := identity + 1; c < codings; c++ {
		name := r.name + extensions[c]
		info, err := f.root.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Unix() < r.reps[identity].stamp.modified/int64(time.Second) {
			continue
		}
		s := stampOf(info)
		settled := now.Sub(info.ModTime()) > racy
		r.quiet = r.quiet && settled && (now.UnixNano()-s.changed > int64(racy) || f.opts.eager)
		r.reps[c] = &rep{coding: c, name: name, stamp: s, etag: etagOf(s, c, !settled)}
	}
}

// open opens the file of p, if it is still of the version that is known.
func (f *Files) openRep(p *rep) (*os.File, error) {
	file, info, err := f.openFile(p.name)
	if err != nil {
		return nil, err
	}
	if stampOf(info) != p.stamp {
		_ = file.Close()
		return nil, errShrunk
	}
	return file, nil
}

// length returns how long a representation is, which is not known of one that is
// yet to be made.
func (p *rep) length() int64 {
	if !p.made {
		return p.stamp.size
	}
	if b := p.content.Load(); b != nil {
		return int64(len(b.p))
	}
	return 0
}

// borrow returns the contents, if they are in memory; who gets them gives them
// back.
func (p *rep) borrow() *blob {
	if b := p.content.Load(); b != nil && b.tryRef() {
		return b
	}
	return nil
}
