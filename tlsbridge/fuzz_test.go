package tlsbridge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
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
