package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
)

func get(s *site, f file, fields ...string) request {
	return request{method: http.MethodGet, host: s.host, path: "/" + f.name, fields: fields}
}

// small asks for a file that is kept in memory, compressed or not, or for nothing but its
// header.
func (l *load) small(ctx context.Context) error {
	k, s := next(l, l.keep), pick(l.sites)
	f := s.files[rand.IntN(large)]
	switch r := get(s, f); rand.IntN(8) {
	case 0:
		r.method = http.MethodHead
		return k.expect(ctx, r, answer{status: 200, body: f.body, head: true})
	case 1, 2, 3:
		r.fields = []string{"Accept-Encoding", "gzip"}
		return k.expect(ctx, r, answer{status: 200, body: f.body, gzip: f.text})
	default:
		return k.expect(ctx, r, answer{status: 200, body: f.body, fields: []string{"Accept-Ranges", "bytes"}})
	}
}

// odd asks for what is not there, has moved, is hidden, or is known already.
func (l *load) odd(ctx context.Context) error {
	k, s := next(l, l.keep), pick(l.sites)
	r := request{method: http.MethodGet, host: s.host}
	switch rand.IntN(7) {
	case 0:
		r.path = fmt.Sprintf("/nothing/%d", rand.IntN(1e9))
		return k.expect(ctx, r, answer{status: 404})
	case 1:
		r.path = "/.hidden"
		return k.expect(ctx, r, answer{status: 404})
	case 2:
		r.path = "/old/page.html?a=1"
		return k.expect(ctx, r, answer{status: 301, fields: []string{"Location", "/page.html?a=1"}})
	case 3:
		r.method, r.path = http.MethodPost, "/page.html"
		return k.expect(ctx, r, answer{status: 405})
	case 4:
		r.path = "/bench/204"
		return k.expect(ctx, r, answer{status: 204, body: []byte{}})
	case 5:
		r.path, r.fields = "/", []string{"Cookie", strings.Repeat("c=1; ", rand.IntN(1000))}
		return k.expect(ctx, r, answer{status: 200, body: []byte("index")})
	}
	f := s.files[rand.IntN(large)]
	resp, err := k.do(ctx, get(s, f))
	if err != nil {
		return err
	}
	tag := resp.Header.Get("ETag")
	err = answer{status: 200, body: f.body}.check(resp)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	return k.expect(ctx, get(s, f, "If-None-Match", tag), answer{status: 304, body: []byte{}, fields: []string{"Etag", tag}})
}

// large asks for megabytes.
func (l *load) large(ctx context.Context) error {
	k, s := next(l, l.keep), pick(l.sites)
	f := s.files[large]
	if rand.IntN(5) == 0 {
		f = s.files[larger]
	}
	return k.expect(ctx, get(s, f), answer{status: 200, body: f.body})
}

// ranges asks for parts of files.
func (l *load) ranges(ctx context.Context) error {
	k, s := next(l, l.keep), pick(l.sites)
	f := s.files[pick([]int{style, picture, large, larger})]
	size := len(f.body)
	from := rand.IntN(size)
	to := min(size-1, from+rand.IntN(128<<10))
	part := func(from, to int) string { return fmt.Sprintf("bytes %d-%d/%d", from, to, size) }
	switch rand.IntN(4) {
	case 0: // the end
		n := 1 + rand.IntN(min(size, 64<<10))
		return k.expect(ctx, get(s, f, "Range", fmt.Sprint("bytes=-", n)),
			answer{status: 206, body: f.body[size-n:], fields: []string{"Content-Range", part(size-n, size-1)}})
	case 1: // beyond it
		return k.expect(ctx, get(s, f, "Range", fmt.Sprintf("bytes=%d-", size)),
			answer{status: 416, fields: []string{"Content-Range", fmt.Sprint("bytes */", size)}})
	case 2: // two of them
		resp, err := k.do(ctx, get(s, f, "Range", fmt.Sprintf("bytes=0-99, %d-%d", size/2, size/2+999)))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return checkParts(resp, f.body[:100], f.body[size/2:size/2+1000])
	default:
		return k.expect(ctx, get(s, f, "Range", fmt.Sprintf("bytes=%d-%d", from, to)),
			answer{status: 206, body: f.body[from : to+1], fields: []string{"Content-Range", part(from, to)}})
	}
}

func checkParts(resp *http.Response, parts ...[]byte) error {
	if err := checkStatus(resp, http.StatusPartialContent); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	r := multipart.NewReader(resp.Body, params["boundary"])
	for i, want := range parts {
		p, err := r.NextPart()
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		if err := same(p, want, nil); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	if _, err := r.NextPart(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more parts than %d: %w", len(parts), err)
	}
	return nil
}

// pipeline asks for several things at once over HTTP/1.1.
func (l *load) pipeline(ctx context.Context) error {
	c, err := l.dial(ctx, l.at.cleartext)
	if err != nil {
		return err
	}
	defer c.Close()
	s, n := pick(l.sites), 2+rand.IntN(14)
	var b bytes.Buffer
	var files []file
	for i := range n {
		f := s.files[rand.IntN(large)]
		files = append(files, f)
		fmt.Fprintf(&b, "GET /%s HTTP/1.1\r\nHost: %s\r\n", f.name, s.host)
		if i == n-1 {
			b.WriteString("Connection: close\r\n")
		}
		b.WriteString("\r\n")
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	for i, f := range files {
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
		err = answer{status: 200, body: f.body}.check(resp)
		_ = resp.Body.Close()
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, n, err)
		}
	}
	return c.expectEnd()
}

// uploaded is what everything that is uploaded is made of.
var uploaded = bytes.Repeat([]byte("An upload, of which the server counts the octets and nothing else..."), 4<<20/68)

// send uploads n octets.
func (l *load) send(ctx context.Context, k *kind, n int) error {
	r := request{method: http.MethodPost, host: pick(hosts), path: "/bench/upload", body: bytes.NewReader(uploaded[:n]), length: int64(n)}
	switch rand.IntN(3) {
	case 0:
		r.length = -1 // chunked, over HTTP/1.1
	case 1:
		r.fields = []string{"Expect", "100-continue"}
	}
	// A connection that has just been closed for its age may be tried for it in vain: the
	// client may try again.
	r.fields = append(r.fields, "Idempotency-Key", "1")
	return k.expect(ctx, r, answer{status: 200, body: []byte(strconv.Itoa(n))})
}

func (l *load) upload(ctx context.Context) error {
	return l.send(ctx, next(l, l.keep), rand.IntN(128<<10))
}

func (l *load) largeUpload(ctx context.Context) error {
	return l.send(ctx, next(l, l.keep), 1<<20+rand.IntN(3<<20-100))
}

// newConnection asks on a connection of its own, with a full handshake or a short one.
func (l *load) newConnection(ctx context.Context) error {
	k, s := next(l, l.fresh), pick(l.sites)
	f := s.files[rand.IntN(large)]
	return k.expect(ctx, get(s, f), answer{status: 200, body: f.body})
}
