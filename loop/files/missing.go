package files

import (
	"errors"
	"fmt"

	"github.com/h2loop/h2loop/loop"
)

// A page is an answer that is no file: a list, or what is sent instead of one.
type page struct {
	status   int
	kind     string
	etag     string // "" for none
	security string // Content-Security-Policy, "" for none
	body     []byte // never changes
}

func (p *page) send(x *loop.Exchange) {
	if p.status != 304 {
		_ = x.SetHeader("content-type", p.kind)
		_ = x.SetHeader("x-content-type-options", "nosniff")
	}
	if p.etag != "" {
		_ = x.SetHeader("etag", p.etag)
	}
	if p.security != "" {
		_ = x.SetHeader("content-security-policy", p.security)
	}
	_ = x.SendStatic(p.status, p.body)
}

// A missingPage is the page for what is not there, and of which version it is.
type missingPage struct {
	stamp stamp
	page  page
}

// missingPage returns the page for what is not there, nil if there is none. It may
// block.
func (f *Files) missingPage() *page {
	if f.opts.NotFound == "" {
		return nil
	}
	m, err := f.readMissingPage()
	if err == nil {
		return &m.page
	}
	f.opts.Logger.Warn().Err(err).Str("name", f.opts.NotFound).Msg("the page for what is not there cannot be read")
	if m = f.lastMissing.Load(); m != nil {
		return &m.page // what it was
	}
	return nil
}

// readMissingPage reads it, if it has changed.
func (f *Files) readMissingPage() (*missingPage, error) {
	name := f.opts.NotFound
	last := f.lastMissing.Load()
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if s := stampOf(info); last != nil && last.stamp == s {
		return last, nil
	}
	file, info, err := f.openFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w", name, errNotFile)
	case info.Size() > smallFile:
		return nil, fmt.Errorf("%s: longer than %d KiB", name, smallFile>>10)
	}
	body := make([]byte, info.Size())
	if err := readWhole(file, stampOf(info), body); err != nil {
		if last != nil && errors.Is(err, errShrunk) {
			return last, nil // it is just being written
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &missingPage{stampOf(info), page{status: 404, kind: f.typeOf(name), body: body}}
	f.lastMissing.Store(m)
	return m, nil
}
