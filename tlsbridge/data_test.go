package tlsbridge

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
)

// randomBytes returns n octets that are the same for the same seed.
func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// split cuts p into segments of random lengths up to most, some of them empty.
func split(p []byte, seed uint64, most int) [][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	var segs [][]byte
	for len(p) > 0 {
		n := min(r.IntN(most+1), len(p))
		segs = append(segs, p[:n])
		p = p[n:]
	}
	return segs
}

// TestTransfer sends 8 MiB each way.
func TestTransfer(t *testing.T) {
	const size = 8<<20 + 12345
	versions(t, func(t *testing.T, v uint16) {
		up, down := randomBytes(1, size), randomBytes(2, size)
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()

		received := sha256.New()
		l.p.start(func(c *tls.Conn) error {
			if _, err := c.Write(up); err != nil {
				return err
			}
			_, err := io.CopyN(received, c, size)
			return err
		})
		// The upload arrives in segments of awkward lengths.
		for i, piece := range split(l.p.settle(), 3, 100000) {
			l.recv(piece)
			if l.err != nil {
				t.Fatalf("segment %d: %v", i, l.err)
			}
		}
		if sha256.Sum256(l.opened.Bytes()) != sha256.Sum256(up) {
			t.Errorf("opened %d octets, not the %d sent", l.opened.Len(), size)
		}
		// The download leaves in batches of many segments.
		for batch := range pieces(down, 1<<20) {
			if err := l.b.Seal(split(batch, uint64(len(batch)), 40000)); err != nil {
				t.Fatal(err)
			}
			l.flush()
		}
		if err := l.p.result(); err != nil {
			t.Fatal(err)
		}
		if [32]byte(received.Sum(nil)) != sha256.Sum256(down) {
			t.Error("the client received other octets than were sealed")
		}
	})
}

// pieces cuts p into pieces of n octets.
func pieces(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			m := min(n, len(p))
			if !yield(p[:m]) {
				return
			}
			p = p[m:]
		}
	}
}

// TestSealRecords wants the fewest records there can be, the first ones of a
// connection included, whatever the segments.
func TestSealRecords(t *testing.T) {
	const full = MaxRecordPayload
	pairs := func(n int) []int {
		var sizes []int
		for range n {
			sizes = append(sizes, 9, full-9)
		}
		return sizes
	}
	versions(t, func(t *testing.T, v uint16) {
		for _, sizes := range [][]int{
			{1},
			{0},
			{},
			{0, 0},
			{full},
			{full + 1},
			{full - 1},
			{3 * full},
			{1, 1, 1},
			{1, full},
			{full, 1},
			{full, full},
			{9, 5 * full},
			{5 * full, 9},
			{full - 1, 1},
			{full - 1, 2},
			{1, full - 1, full, 1, 0},
			{0, 3*full + 7, 0, 0, full, 100},
			pairs(1), pairs(64),
			{9, full - 9, 9, full},
			{1<<20 + 1},
		} {
			t.Run(fmt.Sprint(sizes[:min(len(sizes), 6)]), func(t *testing.T) {
				l := newLink(t, serverConfig(), clientConfig(v))
				l.handshake()
				l.sent.Reset()
				total := 0
				var segs [][]byte
				for i, n := range sizes {
					segs = append(segs, randomBytes(byte(i), n))
					total += n
				}
				l.serverSends(segs...)
				rs := records(t, l.sent.Bytes())
				if want := (total + full - 1) / full; len(rs) != want {
					t.Fatalf("%d records, want %d", len(rs), want)
				}
				overhead := -1
				for i, r := range rs {
					want := full
					if i == len(rs)-1 {
						want = total - i*full
					}
					if overhead < 0 {
						overhead = len(r.payload) - want
					}
					if len(r.payload) != want+overhead || overhead < 16 || overhead+recordHeaderLen > recordOverhead {
						t.Errorf("record %d of %d octets, want %d and an overhead of %d", i, len(r.payload), want, overhead)
					}
				}
			})
		}
	})
}

// TestSealDirect wants segments that fill records where they lie, and the end of
// the last one, to be encrypted from there.
func TestSealDirect(t *testing.T) {
	for name, segs := range map[string][][]byte{
		"one small":         {randomBytes(1, 100)},
		"one large":         {randomBytes(1, 3*MaxRecordPayload+7)},
		"full ones":         {randomBytes(1, 3*MaxRecordPayload), randomBytes(2, MaxRecordPayload), randomBytes(3, 5)},
		"after a full pair": {randomBytes(1, 9), randomBytes(2, 2*MaxRecordPayload-9+5)},
	} {
		l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
		l.handshake()
		stage := l.b.wire.bufs.stage
		clear(stage)
		l.serverSends(segs...)
		want := make([]byte, len(stage))
		if name == "after a full pair" {
			copy(want[copy(want, segs[0]):], segs[1]) // the first record only
		}
		if !bytes.Equal(stage, want) {
			t.Errorf("%s: went by way of the staging buffer", name)
		}
	}
}

// TestSealCBC has the cipher suite with the most overhead.
func TestSealCBC(t *testing.T) {
	server := serverConfig()
	server.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	client := clientConfig(tls.VersionTLS12)
	client.CipherSuites = server.CipherSuites
	l := newLink(t, server, client)
	l.handshake()
	for _, n := range []int{1, 15, 16, 17, MaxRecordPayload, 1 << 20} {
		room := n + (n+MaxRecordPayload-1)/MaxRecordPayload*recordOverhead
		l.sent.Reset()
		l.serverSends(randomBytes(1, n))
		if l.sent.Len() > room {
			t.Errorf("%d octets made %d, more than the %d reserved", n, l.sent.Len(), room)
		}
		l.clientSends(randomBytes(2, n))
	}
}

// TestSegsUntouched wants Seal to leave the slices it borrows as they were.
func TestSegsUntouched(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.handshake()
	a, b := randomBytes(1, 100), randomBytes(2, 3*MaxRecordPayload)
	segs := [][]byte{a, b}
	if err := l.b.Seal(segs); err != nil {
		t.Fatal(err)
	}
	if len(segs[0]) != 100 || len(segs[1]) != 3*MaxRecordPayload ||
		!bytes.Equal(a, randomBytes(1, 100)) || !bytes.Equal(b, randomBytes(2, 3*MaxRecordPayload)) {
		t.Error("Seal changed what it borrowed")
	}
}

// TestCloseNotifyFromPeer has data and close_notify in one segment.
func TestCloseNotifyFromPeer(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for _, step := range []int{0, 1} {
			l := newLink(t, serverConfig(), clientConfig(v))
			l.step = step
			l.handshake()
			l.p.start(func(c *tls.Conn) error {
				if _, err := c.Write([]byte("last words")); err != nil {
					return err
				}
				return c.CloseWrite()
			})
			l.run()
			if !errors.Is(l.err, io.EOF) || l.opened.String() != "last words" {
				t.Fatalf("%q and %v, want the last words and io.EOF", l.opened.String(), l.err)
			}
			if err := l.b.Receive([]byte("\x17\x03\x03\x00\x01x"), noPlaintext(t)); !errors.Is(err, io.EOF) {
				t.Errorf("then %v, want io.EOF", err)
			}
			// Half closed: the answer still goes out, and then our close_notify.
			l.err = nil
			if err := l.b.Seal([][]byte{[]byte("answer")}); err != nil {
				t.Fatal(err)
			}
			l.b.CloseNotify()
			wantFromServer(t, l, "answer")
		}
	})
}

// wantFromServer has the client read until the server's close_notify.
func wantFromServer(t *testing.T, l *link, want string) {
	t.Helper()
	var got []byte
	l.p.start(func(c *tls.Conn) (err error) {
		got, err = io.ReadAll(c)
		return err
	})
	l.flush()
	l.p.settle()
	l.p.hangUpIfWaiting()
	// Without close_notify crypto/tls would still say io.EOF at the boundary of
	// a record; that the alert is there the caller checks where it matters.
	if err := l.p.result(); err != nil || string(got) != want {
		t.Errorf("the client read %q and %v, want %q", got, err, want)
	}
}

func TestCloseNotifyToPeer(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()
		ended := false
		l.p.start(func(c *tls.Conn) error {
			_, err := c.Read(make([]byte, 1))
			ended = errors.Is(err, io.EOF)
			return nil
		})
		l.b.CloseNotify()
		n := len(l.b.Pending())
		if n == 0 {
			t.Fatal("nothing pending")
		}
		l.b.CloseNotify()
		if len(l.b.Pending()) != n {
			t.Error("a second close_notify")
		}
		if err := l.b.Seal([][]byte{[]byte("x")}); err == nil || len(l.b.Pending()) != n {
			t.Errorf("Seal after CloseNotify: %v", err)
		}
		l.run() // no hang-up: only the alert can end the client's Read
		if err := l.p.result(); err != nil || !ended {
			t.Errorf("the client saw the end: %v, %v", ended, err)
		}
		// What the client sends still comes in.
		l.clientSends([]byte("late"))
	})
}

// TestTruncated stops in the middle of a record: no error, and nothing is left.
func TestTruncated(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()
		l.p.start(func(c *tls.Conn) error {
			_, err := c.Write(make([]byte, 1000))
			return err
		})
		in := l.p.settle()
		l.recv(in[:len(in)-1])
		if l.err != nil || l.opened.Len() != 0 {
			t.Errorf("%d octets and %v of a record that is not whole", l.opened.Len(), l.err)
		}
		l.b.Stop()
		checkStopped(t, l.b)
	})
}

// TestTampered flips one bit and wants an alert that the client understands.
func TestTampered(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()
		l.p.start(func(c *tls.Conn) error {
			if _, err := c.Write([]byte("hello")); err != nil {
				return err
			}
			_, err := c.Read(make([]byte, 1))
			return err
		})
		in := l.p.settle()
		in[len(in)-1] ^= 1
		l.recv(in)
		if l.err == nil || l.opened.Len() != 0 {
			t.Fatalf("opened %q, error %v", l.opened.String(), l.err)
		}
		if err := l.b.Seal([][]byte{[]byte("x")}); !errors.Is(err, l.err) {
			t.Errorf("Seal: %v, want %v", err, l.err)
		}
		n := len(l.b.Pending())
		l.b.CloseNotify()
		if len(l.b.Pending()) != n {
			t.Error("close_notify behind a fatal alert")
		}
		l.flush()
		if err := l.p.result(); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("client: %v, want the server's bad_record_mac", err)
		}
	})
}

func TestOversizedRecordLater(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()
		l.recv([]byte("\x17\x03\x03\xff\xff"))
		if l.err == nil || !strings.Contains(l.err.Error(), "oversized") || len(l.b.Pending()) == 0 {
			t.Errorf("%v, %d octets pending", l.err, len(l.b.Pending()))
		}
	})
}

func TestOpenError(t *testing.T) {
	mine := errors.New("mine")
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.handshake()
	l.p.start(func(c *tls.Conn) error {
		_, err := c.Write(make([]byte, 3*MaxRecordPayload))
		return err
	})
	calls := 0
	open := func([]byte) error {
		calls++
		return mine
	}
	in := l.p.settle()
	if err := l.b.Receive(in, open); !errors.Is(err, mine) || calls != 1 {
		t.Errorf("%v after %d calls, want %v after 1", err, calls, mine)
	}
	if err := l.b.Receive(in, open); !errors.Is(err, mine) || calls != 1 {
		t.Errorf("then %v after %d calls", err, calls)
	}
	// The GOAWAY that such an error means can still be said.
	if err := l.b.Seal([][]byte{[]byte("goaway")}); err != nil {
		t.Fatal(err)
	}
	l.b.CloseNotify()
	wantFromServer(t, l, "goaway")
}

// TestStopInOpen stops the bridge in its own callback, at each record of three.
func TestStopInOpen(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		for at := 1; at <= 3; at++ {
			for _, result := range []error{nil, io.ErrNoProgress} {
				l := newLink(t, serverConfig(), clientConfig(v))
				l.handshake()
				l.p.start(func(c *tls.Conn) error {
					if _, err := c.Write(make([]byte, 3*MaxRecordPayload)); err != nil {
						return err
					}
					return c.CloseWrite()
				})
				calls := 0
				err := l.b.Receive(l.p.settle(), func([]byte) error {
					if calls++; calls == at {
						l.b.Stop()
						return result
					}
					return nil
				})
				want := result
				if want == nil {
					want = net.ErrClosed
				}
				if calls != at || !errors.Is(err, want) {
					t.Errorf("%d calls and %v, want %d and %v", calls, err, at, want)
				}
				checkStopped(t, l.b)
			}
		}
	})
}

// TestPanicInOpen wants the panic to come through and the bridge to let go of
// what it borrowed.
func TestPanicInOpen(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.handshake()
	l.p.start(func(c *tls.Conn) error {
		_, err := c.Write(make([]byte, 3*MaxRecordPayload))
		return err
	})
	in := l.p.settle()
	func() {
		defer func() {
			if v := recover(); v != "oops" {
				t.Errorf("recovered %v", v)
			}
		}()
		_ = l.b.Receive(in, func([]byte) error { panic("oops") })
	}()
	if l.b.wire.in != nil {
		t.Error("the bridge still holds the input")
	}
	l.b.Stop()
	checkStopped(t, l.b)
}

// TestPendingSent checks the loan: what is queued while Pending is on loan is not
// lost, and the memory that is on loan is not touched.
func TestPendingSent(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.handshake()
	if l.b.Pending() != nil {
		t.Error("something is pending")
	}
	l.b.Sent() // of nothing

	first, second := randomBytes(1, 100), randomBytes(2, 200000)
	if err := l.b.Seal([][]byte{first}); err != nil {
		t.Fatal(err)
	}
	l.b.Sent() // nothing was lent, so nothing is sent
	lent := l.b.Pending()
	copied := bytes.Clone(lent)
	if err := l.b.Seal([][]byte{second}); err != nil { // moves to a larger buffer
		t.Fatal(err)
	}
	other := newLinkOn(t, l.b.srv, l.b.wire.bufs, clientConfig(tls.VersionTLS13))
	other.handshake()
	other.serverSends(first)
	if !bytes.Equal(lent, copied) {
		t.Error("what was on loan changed")
	}
	l.p.deliver(lent)
	l.b.Sent()
	l.p.deliver(l.b.Pending())
	l.b.Sent()
	if l.b.Pending() != nil {
		t.Error("something is pending")
	}
	got := make([]byte, len(first)+len(second))
	l.p.start(func(c *tls.Conn) error {
		_, err := io.ReadFull(c, got)
		return err
	})
	l.p.settle()
	l.p.hangUpIfWaiting()
	if err := l.p.result(); err != nil || !bytes.Equal(got, append(first, second...)) {
		t.Errorf("the client did not read what was sealed: %v", err)
	}
}

// TestStopOnLoan stops a bridge whose output is on loan: nobody else may get that
// memory, because the borrower is in the middle of its write.
func TestStopOnLoan(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.handshake()
	if err := l.b.Seal([][]byte{[]byte("x")}); err != nil {
		t.Fatal(err)
	}
	lent := l.b.Pending()
	bufs := l.b.wire.bufs
	l.b.Stop()
	l.b.Sent()
	if b := bufs.get(1); &b[:1][0] == &lent[0] {
		t.Error("a buffer on loan was given to someone else")
	}
}

// TestSealManyBeforeSent queues the output of many calls before it is fetched.
func TestSealManyBeforeSent(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := newLink(t, serverConfig(), clientConfig(v))
		l.handshake()
		var want []byte
		for i := range 40 {
			p := randomBytes(byte(i), 1<<(i%18))
			want = append(want, p...)
			if err := l.b.Seal([][]byte{p}); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(want))
		l.p.start(func(c *tls.Conn) error {
			_, err := io.ReadFull(c, got)
			return err
		})
		l.run()
		l.p.hangUpIfWaiting()
		if err := l.p.result(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the client did not read what was sealed: %v", err)
		}
	})
}

func TestBuffers(t *testing.T) {
	f := NewBuffers()
	for _, n := range []int{0, 1, smallBuf, smallBuf + 1, mediumBuf, mediumBuf + 1, 300000, 1<<20 + 64*recordOverhead, largeBuf, largeBuf + 1, 5 << 20} {
		b := f.get(n)
		if len(b) != 0 || cap(b) < n {
			t.Fatalf("get(%d): length %d, capacity %d", n, len(b), cap(b))
		}
		f.put(b)
		again := f.get(n)
		same := cap(again) > 0 && &again[:1][0] == &b[:1][0]
		if same != (n <= largeBuf) {
			t.Errorf("get(%d) after put: the same buffer: %v", n, same)
		}
		f.put(again)
	}

	// However many come back, what is kept is bounded.
	kept := func() (n int) {
		for _, b := range slices.Concat([][]byte{f.large}, f.small.Values(), f.medium.Values()) {
			n += cap(b)
		}
		return n
	}
	for range 100 {
		for _, n := range []int{smallBuf, mediumBuf, 2 * mediumBuf, largeBuf, 2 * largeBuf, 100} {
			f.put(make([]byte, 0, n))
		}
	}
	if most := keepSmall*smallBuf + keepMedium*mediumBuf + largeBuf; kept() != most {
		t.Errorf("%d octets kept, want %d", kept(), most)
	}
	f.Trim()
	for _, n := range []int{smallBuf, mediumBuf, largeBuf} {
		f.put(f.get(n))
	}
	if f.Trim(); kept() != smallBuf+mediumBuf+largeBuf {
		t.Errorf("%d octets kept, want one buffer of each kind, which were needed", kept())
	}
	if f.Trim(); kept() != smallBuf {
		t.Errorf("%d octets kept, want %d: nobody has needed more", kept(), smallBuf)
	}
}

// TestBuffersComeBack runs connections through all their ways to end, and wants
// all buffers back.
func TestBuffersComeBack(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	f := NewBuffers()
	for range 3 {
		for _, n := range []int{10, 20000, 1 << 20} {
			l := newLinkOn(t, s, f, clientConfig(tls.VersionTLS13))
			l.handshake()
			l.serverSends(make([]byte, n))
			l.end()
			// Ended with output that nobody fetched.
			l = newLinkOn(t, s, f, clientConfig(tls.VersionTLS13))
			l.handshake()
			if err := l.b.Seal([][]byte{make([]byte, n)}); err != nil {
				t.Fatal(err)
			}
			l.end()
		}
	}
	if f.small.Len() != 1 || f.medium.Len() != 1 || cap(f.large) != largeBuf {
		t.Errorf("%d small, %d medium and a large one of %d; want 1, 1 and %d", f.small.Len(), f.medium.Len(), cap(f.large), largeBuf)
	}
}

func TestRecordCutter(t *testing.T) {
	var stream []byte
	var ends []int
	for _, n := range []int{0, 1, 5, 255, 256, 0, 0, 16384, 65535, 3} {
		stream = append(stream, 0x17, 3, 3, byte(n>>8), byte(n))
		stream = append(stream, bytes.Repeat([]byte{0xff}, n)...)
		ends = append(ends, len(stream))
	}
	for _, step := range []int{1, 2, 3, 4, 5, 6, 7, 100, 1000, 1 << 20} {
		var r recordCutter
		at, next := 0, 0
		for at < len(stream) {
			in := stream[at:min(at+step, len(stream))]
			n := r.cut(in)
			if n == 0 || n > len(in) {
				t.Fatalf("step %d: cut %d of %d", step, n, len(in))
			}
			want := min(len(in), ends[next]-at)
			if n != want {
				t.Fatalf("step %d at %d: cut %d, want %d", step, at, n, want)
			}
			if at += n; at == ends[next] {
				next++
			}
		}
	}
}
