package tlsbridge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
)

// outcome is what a peer's bytes lead to, whatever the pieces they come in.
type outcome struct {
	err      string
	complete bool
	pending  int // octets: their values are random
}

// outcomeOf feeds in to a new bridge. The lengths of the pieces are those in
// cuts, then what is left. If it is held, a step follows each piece.
func outcomeOf(t *testing.T, s *Server, bufs *Buffers, in, cuts []byte, held bool) outcome {
	b := s.NewBridge(bufs)
	defer b.Stop()
	if held {
		b.Hold()
	}
	var err error
	feed := func(piece []byte) {
		if err == nil {
			piece = bytes.Clone(piece)
			err = b.Receive(piece, noPlaintext(t))
			clear(piece)
		}
		if err == nil && b.Ready() {
			b.Step()
			err = b.Stepped(noPlaintext(t))
		}
	}
	for _, c := range cuts {
		n := min(int(c), len(in))
		feed(in[:n])
		in = in[n:]
	}
	feed(in)
	o := outcome{complete: b.HandshakeComplete(), pending: len(b.Pending())}
	if _, ok := errors.AsType[NotTLSError](err); ok {
		o.err = "not TLS" // the prefix is what had arrived
	} else if err != nil {
		o.err = err.Error()
	}
	return o
}

// fuzzServer has a certificate whose signatures are all of one length.
var fuzzServer = sync.OnceValue(func() *Server {
	cfg := serverConfig()
	cfg.Certificates = []tls.Certificate{ed25519Cert()}
	return must(NewServer(cfg, Options{MaxHandshakeBytes: 4096}))
})

// FuzzReceive checks that nothing a peer sends makes the bridge panic or leaves a
// goroutine behind, and that the pieces it comes in make no difference.
func FuzzReceive(f *testing.F) {
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		hello := clientHello(clientConfig(v))
		f.Add(hello, []byte{})
		f.Add(hello, bytes.Repeat([]byte{1}, 8))
		f.Add(append(bytes.Clone(hello), "\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x02xx"...), []byte{3, 2, 255, 255})
		f.Add(append(bytes.Clone(hello), "\x15\x03\x03\x00\x02\x01\x00"...), []byte{250})
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{1})
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), []byte{5})
	f.Add([]byte("\x16\x03\x01\xff\xff"), []byte{4})
	f.Fuzz(func(t *testing.T, in, cuts []byte) {
		bufs := NewBuffers()
		whole := outcomeOf(t, fuzzServer(), bufs, in, nil, false)
		pieces := outcomeOf(t, fuzzServer(), bufs, in, cuts, false)
		ones := outcomeOf(t, fuzzServer(), bufs, in, bytes.Repeat([]byte{1}, min(len(in), 8192)), false)
		if whole != pieces || whole != ones {
			t.Errorf("whole %+v\npieces %+v\noctets %+v", whole, pieces, ones)
		}
		if len(in) <= fuzzServer().maxHandshake { // else it is refused before it is read
			if held := outcomeOf(t, fuzzServer(), bufs, in, cuts, true); whole != held {
				t.Errorf("whole %+v\nheld %+v", whole, held)
			}
		}
		if n := coroutines(); n != 0 {
			t.Errorf("%d coroutines are left", n)
		}
	})
}

// FuzzSplits runs an honest client's whole connection in pieces of any lengths,
// both ways, ended at any point, and checks what arrives.
func FuzzSplits(f *testing.F) {
	f.Add([]byte{1}, []byte("up"), []byte("down"), uint16(0xffff))
	f.Add([]byte{5, 0, 200}, bytes.Repeat([]byte("u"), 1000), []byte{}, uint16(700))
	f.Add([]byte{2, 0, 200}, bytes.Repeat([]byte("u"), 1000), []byte{}, uint16(0xffff))
	f.Add([]byte{7, 90}, []byte("up"), []byte("down"), uint16(1700))
	f.Add([]byte{255, 1, 100}, []byte{}, bytes.Repeat([]byte("d"), 1000), uint16(1))
	f.Fuzz(func(t *testing.T, cuts, up, down []byte, stopAfter uint16) {
		if len(cuts) == 0 || len(cuts) > 64 || bytes.Count(cuts, []byte{0}) == len(cuts) {
			t.Skip("no pieces, or so many empty ones that it takes long")
		}
		v := uint16(tls.VersionTLS12)
		if cuts[0]&1 == 1 {
			v = tls.VersionTLS13
		}
		l := newLinkOn(t, fuzzServer(), NewBuffers(), clientConfig(v))
		defer l.end()
		if cuts[0]&2 != 0 {
			l.hold()
		}
		var got []byte
		l.p.start(func(c *tls.Conn) error {
			if _, err := c.Write(up); err != nil {
				return err
			}
			if err := c.CloseWrite(); err != nil {
				return err
			}
			got = make([]byte, len(down))
			for n := 0; n < len(got); {
				m, err := c.Read(got[n:])
				if err != nil {
					return fmt.Errorf("after %d octets: %w", n, err)
				}
				n += m
			}
			return nil
		})
		left := int(stopAfter)
		for i := 0; ; {
			in := l.p.settle()
			for len(in) > 0 && l.err == nil {
				n := min(int(cuts[i%len(cuts)]), len(in))
				i++
				if left -= n; left < 0 {
					l.b.Stop()
					checkStopped(t, l.b)
					return
				}
				l.recv(in[:n])
				in = in[n:]
			}
			if !l.flush() {
				break
			}
		}
		if !errors.Is(l.err, io.EOF) || !bytes.Equal(l.opened.Bytes(), up) {
			t.Fatalf("opened %q, want %q; %v", l.opened.Bytes(), up, l.err)
		}
		var segs [][]byte
		for i := 0; len(down) > 0; i++ {
			n := min(int(cuts[i%len(cuts)]), len(down))
			segs = append(segs, down[:n])
			down = down[n:]
		}
		if err := l.b.Seal(segs); err != nil {
			t.Fatal(err)
		}
		l.flush()
		l.p.settle()
		l.p.hangUpIfWaiting()
		if err := l.p.result(); err != nil || !bytes.Equal(got, bytes.Join(segs, nil)) {
			t.Fatalf("the client read other octets than were sealed: %v", err)
		}
	})
}

// FuzzTampered has a true client shake hands and send, and changes its octets on
// their way: some are flipped, left out, sent twice or moved, and what there is comes
// cut anywhere. Three octets of edits are one: how far on, what, and with what. The
// bits of way say the version, whether the handshake is held, and how many flights of
// the client are left alone.
// Whatever the server opens must be the beginning of what the client sent.
func FuzzTampered(f *testing.F) {
	f.Add([]byte{}, []byte{100}, byte(0))
	f.Add([]byte{5, 0, 1}, []byte{1}, byte(1))
	f.Add([]byte{200, 1, 3, 90, 2, 5}, []byte{0, 7, 250}, byte(2))
	f.Add([]byte{255, 3, 40, 255, 4, 9}, []byte{30}, byte(3))
	f.Add([]byte{255, 3, 0, 255, 3, 0, 255, 0, 0, 255, 2, 255}, []byte{99}, byte(5))
	f.Fuzz(func(t *testing.T, edits, cuts []byte, way byte) {
		if len(edits) > 99 || len(cuts) > 64 || len(cuts) > 0 && bytes.Count(cuts, []byte{0}) == len(cuts) {
			t.Skip("it takes long")
		}
		v := uint16(tls.VersionTLS12)
		if way&1 != 0 {
			v = tls.VersionTLS13
		}
		up := bytes.Repeat([]byte("what the client sends, "), 100)
		l := newLinkOn(t, fuzzServer(), NewBuffers(), clientConfig(v))
		defer l.end()
		if way&2 != 0 {
			l.hold()
		}
		l.p.start(func(c *tls.Conn) error {
			for p := range slices.Chunk(up, 700) {
				if _, err := c.Write(p); err != nil {
					return err
				}
			}
			return c.CloseWrite()
		})
		edited, left := len(edits) >= 3, int(way>>2%4)
		for i, given := 0, 0; l.err == nil; {
			in := l.p.settle()
			if len(in) > 0 {
				if left > 0 {
					left--
				} else {
					in, edits = tamper(in, edits)
				}
			}
			given += len(in)
			for len(in) > 0 && l.err == nil {
				n := len(in)
				if len(cuts) > 0 {
					n = min(int(cuts[i%len(cuts)]), n)
				}
				i++
				l.recv(in[:n])
				in = in[n:]
			}
			if !l.flush() && len(in) == 0 {
				l.p.hangUpIfWaiting() // it waits for what its octets no longer ask for
				break
			}
			if given > 1<<16 {
				t.Fatalf("%d octets of a client that has no more to say", given)
			}
		}
		if got := l.opened.Bytes(); !bytes.HasPrefix(up, got) {
			t.Fatalf("opened %q, which was not sent", got)
		}
		if !edited && (!errors.Is(l.err, io.EOF) || l.opened.Len() != len(up)) {
			t.Fatalf("%d octets opened of %d, and nothing was changed: %v", l.opened.Len(), len(up), l.err)
		}
		first := l.err
		if l.recv([]byte("more")); first != nil && l.err.Error() != first.Error() {
			t.Fatalf("%v, and then %v", first, l.err)
		}
		l.b.Stop()
		checkStopped(t, l.b)
	})
}

// tamper changes in as the edits say, and returns those that are beyond its end.
func tamper(in, edits []byte) (changed, left []byte) {
	at := 0
	for len(edits) >= 3 {
		e := edits
		edits = e[3:]
		if at += int(e[0]); at >= len(in) {
			break
		}
		n := min(int(e[2])+1, len(in)-at)
		piece := bytes.Clone(in[at : at+n])
		switch e[1] % 6 {
		case 0:
			in[at] ^= e[2] | 1
		case 1:
			in = slices.Delete(in, at, at+n)
		case 2:
			in = slices.Insert(in, at, piece...)
		case 3: // to the end
			in = append(slices.Delete(in, at, at+n), piece...)
		case 4:
			in = in[:at]
		case 5:
			in = slices.Insert(in, at, e[2], e[0])
		}
	}
	return in, edits
}
