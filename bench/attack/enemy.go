package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An attack is a kind of abuse.
type attack struct {
	name  string
	what  string // in a few words, with its CVE if it has one
	conns int    // at once; 8 if it is 0
	over  transport
	deaf  bool   // nothing is read
	never string // what the attacker must not be told

	settings []http2.Setting
	credit   uint32 // of the connection, beside the 64 KiB that it begins with

	// run is what a connection does, once it is open, until it ends with an
	// error or ctx does. It is called again for the next connection.
	run func(ctx context.Context, e *enemy) error
}

// A transport is how an attacker connects.
type transport int

const (
	overTLS    transport = iota // HTTP/2 over TLS
	overH2C                     // HTTP/2 in cleartext
	overRaw                     // a connection to the cleartext port, and nothing sent
	overRawTLS                  // a connection to the TLS port, and nothing sent
)

// A tally counts what happens.
type tally struct {
	conns, sent atomic.Int64
	mu          sync.Mutex
	seen        map[string]int64
}

// saw counts an answer, or an end.
func (t *tally) saw(what string) {
	t.mu.Lock()
	t.seen[what]++
	t.mu.Unlock()
}

// An enemy is a connection of an attacker.
type enemy struct {
	net.Conn
	tally *tally
	w     *bufio.Writer
	fr    *http2.Framer
	enc   *hpack.Encoder
	block bytes.Buffer
	next  uint32
	n     int // of the connection
	dead  atomic.Bool
	read  sync.WaitGroup
}

const (
	pauseBefore = 2 * time.Millisecond // before the next connection
	enemyNet    = "127.0.%d.%d"        // attackers come from many addresses
)

// beAttacker makes an attack and prints what came of it.
func beAttacker(ctx context.Context, name string, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	t := &tally{seen: map[string]int64{}}
	if name == "spin" {
		for ctx.Err() == nil { //nolint:revive // it burns what an attack would
		}
	} else if err := attackAs(ctx, name, s.server, t); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report{Conns: t.conns.Load(), Sent: t.sent.Load(), Seen: t.seen})
}

func attackAs(ctx context.Context, name string, at targets, t *tally) error {
	for _, a := range attacks {
		if a.name != name {
			continue
		}
		conns := a.conns
		if conns == 0 {
			conns = 8
		}
		var all sync.WaitGroup
		for i := range conns {
			all.Go(func() {
				for n := i; ctx.Err() == nil; n += conns {
					a.once(ctx, at, t, n)
					select {
					case <-time.After(pauseBefore):
					case <-ctx.Done():
					}
				}
			})
		}
		all.Wait()
		return nil
	}
	return fmt.Errorf("no attack is called %q", name)
}

// once is the life of a connection.
func (a *attack) once(ctx context.Context, at targets, t *tally, n int) {
	e, err := a.dial(ctx, at, t, n)
	if err != nil {
		if ctx.Err() == nil {
			t.saw("no connection: " + cause(err))
		}
		return
	}
	t.conns.Add(1)
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	err = a.run(ctx, e)
	if err == nil {
		err = e.w.Flush()
	}
	ended := ctx.Err() != nil
	stop()
	if err != nil && !ended {
		time.Sleep(5 * time.Millisecond) // for its reader to see why
		t.saw("end: " + cause(err))
	}
	_ = e.Close()
	e.read.Wait()
}

// cause says in a few words why a connection ended.
func cause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// dial connects, and begins HTTP/2 where that is meant.
func (a *attack) dial(ctx context.Context, at targets, t *tally, n int) (*enemy, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf(enemyNet, 1+n/250%200, 1+n%250))}}
	addr := at.cleartext
	if a.over == overTLS || a.over == overRawTLS {
		addr = at.tls
	}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	e := &enemy{Conn: counted{nc, t}, tally: t, next: 1, n: n}
	if a.over == overTLS {
		secure := tls.Client(e.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // it attacks
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, err
		}
		e.Conn = secure
	}
	e.w = bufio.NewWriterSize(e.Conn, 16<<10)
	if a.over == overTLS || a.over == overH2C {
		if err := e.begin(a); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	return e, nil
}

// begin sends the preface, and has what comes be read.
func (e *enemy) begin(a *attack) error {
	e.fr = http2.NewFramer(e.w, bufio.NewReaderSize(e.Conn, 16<<10))
	e.fr.AllowIllegalWrites = true
	e.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	e.enc = hpack.NewEncoder(&e.block)
	_, _ = e.w.WriteString(http2.ClientPreface)
	_ = e.fr.WriteSettings(a.settings...)
	if a.credit > 0 {
		_ = e.fr.WriteWindowUpdate(0, a.credit)
	}
	if err := e.w.Flush(); err != nil {
		return err
	}
	if !a.deaf {
		e.read.Go(e.listen)
	}
	return nil
}

// listen counts what the server says, until it says nothing more.
func (e *enemy) listen() {
	defer e.dead.Store(true)
	for {
		f, err := e.fr.ReadFrame()
		if se, ok := err.(http2.StreamError); ok { //nolint:errorlint // as the framer gives it
			e.tally.saw("malformed answer: " + se.Error())
			continue
		}
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			e.tally.saw(fmt.Sprintf("GOAWAY(%v)", f.ErrCode))
		case *http2.RSTStreamFrame:
			e.tally.saw(fmt.Sprintf("RST_STREAM(%v)", f.ErrCode))
		case *http2.MetaHeadersFrame:
			e.tally.saw(f.PseudoValue("status"))
		case *http2.DataFrame:
			if bytes.Contains(f.Data(), []byte(secret)) {
				e.tally.saw("the secret")
			}
		}
	}
}

// request sends HEADERS for a new stream, and returns its identifier.
func (e *enemy) request(end bool, fields ...string) (uint32, error) {
	e.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := e.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return 0, err
		}
	}
	id := e.next
	e.next += 2
	return id, e.alive(e.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: e.block.Bytes(), EndHeaders: true, EndStream: end,
	}))
}

// get asks for a path.
func (e *enemy) get(path string, more ...string) (uint32, error) {
	return e.request(true, append([]string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", path}, more...)...)
}

// post begins an upload.
func (e *enemy) post(more ...string) (uint32, error) {
	return e.request(false, append([]string{":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/bench/upload"}, more...)...)
}

// flush sends what has been written.
func (e *enemy) flush() error { return e.alive(e.w.Flush()) }

var errCut = errors.New("cut")

// alive is err, or says that the server has ended the connection.
func (e *enemy) alive(err error) error {
	if err == nil && e.dead.Load() {
		return errCut
	}
	return err
}

// wait does nothing until ctx ends or the connection does, or the time is up.
func (e *enemy) wait(ctx context.Context, most time.Duration) error {
	if err := e.w.Flush(); err != nil {
		return err
	}
	end := time.After(most)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end:
			return nil
		case <-time.After(10 * time.Millisecond):
			if e.dead.Load() {
				return errCut
			}
		}
	}
}

// answers reads what the server says where no frames are spoken, and counts how it
// begins.
func (e *enemy) answers(most time.Duration) error {
	if err := e.w.Flush(); err != nil {
		return err
	}
	_ = e.SetReadDeadline(time.Now().Add(most))
	p, err := io.ReadAll(io.LimitReader(e.Conn, 64<<10))
	line, _, _ := strings.Cut(string(p), "\r\n")
	switch {
	case len(p) > 0 && p[0] == 0x15: // TLS alert
		e.tally.saw("alert")
	case strings.HasPrefix(line, "HTTP/"):
		e.tally.saw(line)
	case len(p) > 0:
		e.tally.saw("octets that are not HTTP/1.1")
	case err == nil:
		e.tally.saw("close")
	default:
		e.tally.saw("nothing")
	}
	if n := strings.Count(string(p), "HTTP/1.1 "); n > 1 {
		e.tally.saw(fmt.Sprint(n, " answers"))
	}
	if bytes.Contains(p, []byte(secret)) {
		e.tally.saw("the secret")
	}
	return nil
}

// frame writes any frame.
func (e *enemy) frame(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) error {
	return e.alive(e.fr.WriteRawFrame(kind, flags, stream, payload))
}

// header writes the header of a frame whose payload never comes, or not as a whole.
func (e *enemy) header(length int, kind http2.FrameType, flags http2.Flags, stream uint32) error {
	var h [9]byte
	binary.BigEndian.PutUint32(h[:4], uint32(length)<<8)
	h[3], h[4] = byte(kind), byte(flags)
	binary.BigEndian.PutUint32(h[5:], stream)
	_, err := e.w.Write(h[:])
	return err
}

// counted counts octets.
type counted struct {
	net.Conn
	tally *tally
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.tally.sent.Add(int64(n))
	return n, err
}
