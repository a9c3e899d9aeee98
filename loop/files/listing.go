package files

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/internal/etag"
)

// maxListed is how many names a list has: each costs a look at the disk, and a
// longer list serves nobody.
const maxListed = 10_000

// An entry is a name in a list.
type entry struct {
	name     string
	isDir    bool
	size     int64
	modified time.Time
}

//go:embed listing.css
var listingStyle string

// listingSecurity allows the list its style, and nothing else: names are others'
// to choose.
var listingSecurity = func() string {
	sum := sha256.Sum256([]byte(listingStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// list has the list of a directory be the answer.
func (t *fetch) list() error {
	entries, more, err := t.files.readDir(t.name)
	if err != nil {
		return err
	}
	order := orderOf(t.query)
	slices.SortFunc(entries, order.compare)
	body := renderListing(t.name, t.raw, entries, more, order)
	sum := sha256.Sum256(body)
	p := &page{
		status:   200,
		kind:     "text/html; charset=utf-8",
		etag:     `"` + hex.EncodeToString(sum[:12]) + `"`,
		security: listingSecurity,
		body:     body,
	}
	switch {
	case t.ask.ifMatch != "" && !etag.MatchesAny(t.ask.ifMatch, p.etag, etag.Strongly):
		t.outcome.status = 412
	case t.ask.ifNoneMatch != "" && etag.MatchesAny(t.ask.ifNoneMatch, p.etag, etag.Weakly):
		p.status, p.body = 304, nil
		t.page = p
	default:
		t.page = p
	}
	return nil
}

// readDir returns what is served of a directory; more says that there is more of
// it.
func (f *Files) readDir(name string) (entries []entry, more bool, err error) {
	name = cmp.Or(strings.TrimSuffix(name, "/"), ".")
	dir, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(256)
		for _, base := range names {
			if len(entries) == maxListed {
				return entries, true, nil
			}
			if e, ok := f.entryOf(name, base); ok {
				entries = append(entries, e)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return entries, false, nil
		case err != nil:
			return nil, false, err
		}
	}
}

// entryOf looks at a name, as a request for it would: a link that leads out is
// not there.
func (f *Files) entryOf(dir, base string) (entry, bool) {
	if !isVisible(base) {
		return entry{}, false
	}
	info, err := f.root.Stat(path.Join(dir, base))
	if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
		return entry{}, false
	}
	return entry{base, info.IsDir(), info.Size(), info.ModTime()}, true
}

// An order is how a list is sorted: directories are first, always.
type order struct {
	by   string // "name", "size" or "time"
	desc bool
}

func orderOf(query string) order {
	o := order{by: "name"}
	for param := range strings.SplitSeq(query, "&") {
		switch param {
		case "by=size", "by=time":
			o.by = param[len("by="):]
		case "desc":
			o.desc = true
		}
	}
	return o
}

// query returns the query that asks for o.
func (o order) query() string {
	if o.desc {
		return "?by=" + o.by + "&desc"
	}
	return "?by=" + o.by
}

func (o order) compare(a, b entry) int {
	if a.isDir != b.isDir {
		if a.isDir {
			return -1
		}
		return 1
	}
	n := 0
	switch {
	case o.by == "size" && !a.isDir:
		n = cmp.Compare(a.size, b.size)
	case o.by == "time":
		n = a.modified.Compare(b.modified)
	}
	n = cmp.Or(n, compareNames(a.name, b.name), strings.Compare(a.name, b.name))
	if o.desc {
		return -n
	}
	return n
}

// compareNames compares as people do: without regard to case, and numbers by
// their values.
func compareNames(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if c := cmp.Or(cmp.Compare(len(m), len(n)), strings.Compare(m, n)); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns how many digits s begins with.
func digits(s string) (n int) {
	for n < len(s) && s[n]-'0' <= 9 {
		n++
	}
	return n
}

const listingIcons = `<svg width="0" height="0" aria-hidden="true"><symbol id="d" viewBox="0 0 16 16">` +
	`<path d="M1.5 4a1 1 0 0 1 1-1h3.6l1.5 1.6h5.9a1 1 0 0 1 1 1V12a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1z"/></symbol>` +
	`<symbol id="f" viewBox="0 0 16 16"><path d="M4 1.5h5L12.5 5v9a.5.5 0 0 1-.5.5H4a.5.5 0 0 1-.5-.5V2a.5.5 0 0 1 .5-.5zM9 1.5V5h3.5"/></symbol>` +
	`<symbol id="u" viewBox="0 0 16 16"><path d="M8 13V3.5M4 7l4-4 4 4"/></symbol></svg>`

// renderListing returns the page that lists entries. name is that of the directory,
// relative to the root, and raw is the path by which it was asked for.
func renderListing(name, raw string, entries []entry, more bool, o order) []byte {
	var b strings.Builder
	b.Grow(2048 + 300*len(entries))
	title, err := url.PathUnescape(raw)
	if err != nil {
		title = raw
	}
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
		escape(title) + "</title>\n<style>" + listingStyle + "</style>\n</head>\n<body>\n" + listingIcons + "\n<main>\n<h1>")
	renderTrail(&b, name, title)
	b.WriteString("</h1>\n<p>" + summaryOf(entries, more) + "</p>\n<table>\n<thead><tr>")
	for _, c := range [...]struct{ by, text string }{{"name", "Name"}, {"size", "Size"}, {"time", "Changed (UTC)"}} {
		renderColumn(&b, c.by, c.text, o)
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	if name != "" {
		b.WriteString(`<tr><td><a href="../"><svg><use href="#u"/></svg><span>..</span></a></td><td></td><td></td></tr>` + "\n")
	}
	for _, e := range entries {
		e.render(&b)
	}
	b.WriteString("</tbody>\n</table>\n</main>\n</body>\n</html>\n")
	return []byte(b.String())
}

// renderTrail writes the path, with a link for each directory above that is
// served.
func renderTrail(b *strings.Builder, name, title string) {
	elems := strings.Split(strings.Trim(name, "/"), "/")
	if name == "" {
		elems = nil
	}
	// What comes before name in the path is where the route has its root.
	root := strings.TrimSuffix(title, name)
	up := strings.Repeat("../", len(elems))
	fmt.Fprintf(b, `<a href="./%s">%s</a>`, up, escape(root))
	for i, elem := range elems {
		fmt.Fprintf(b, `<a href="./%s">%s</a>/<wbr>`, strings.Repeat("../", len(elems)-1-i), escape(elem))
	}
}

func renderColumn(b *strings.Builder, by, text string, o order) {
	to, sorted := order{by: by}, ""
	if o.by == by {
		to.desc = !o.desc
		sorted = ` aria-sort="ascending"`
		if o.desc {
			sorted = ` aria-sort="descending"`
		}
	}
	fmt.Fprintf(b, `<th scope="col"%s><a href="%s">%s</a></th>`, sorted, escape(to.query()), text)
}

func (e entry) render(b *strings.Builder) {
	name, icon, size := e.name, "f", sizeText(e.size)
	if e.isDir {
		name, icon, size = name+"/", "d", ""
	}
	// "./" keeps a colon in a name from making a scheme of what is before it.
	href := "./" + (&url.URL{Path: e.name}).EscapedPath()
	if e.isDir {
		href += "/"
	}
	exact := ""
	if !e.isDir {
		exact = ` title="` + strconv.FormatInt(e.size, 10) + ` octets"`
	}
	at := e.modified.UTC()
	b.WriteString(`<tr><td><a href="` + escape(href) + `"><svg class="` + icon + `"><use href="#` + icon + `"/></svg><span><bdi>` + escape(name) +
		`</bdi></span></a></td><td` + exact + `>` + size + `</td><td><time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04") + "</time></td></tr>\n")
}

// escape makes HTML of a name, which may be any octets.
func escape(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

func summaryOf(entries []entry, more bool) string {
	dirs, size := 0, int64(0)
	for _, e := range entries {
		if e.isDir {
			dirs++
		} else {
			size += e.size
		}
	}
	text := plural(dirs, "directory", "directories") + ", " + plural(len(entries)-dirs, "file", "files") + ", " + sizeText(size)
	if more {
		text += "; there is more, which is not listed"
	}
	return text
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func sizeText(n int64) string {
	if n < 1<<10 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), 0
	for v >= 1<<10 && unit < len("KMGTPE") {
		v /= 1 << 10
		unit++
	}
	precision := 1
	if v >= 100 {
		precision = 0
	}
	return strconv.FormatFloat(v, 'f', precision, 64) + " " + "KMGTPE"[unit-1:unit] + "iB"
}
