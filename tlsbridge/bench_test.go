package tlsbridge

import (
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
)

// established returns a link after its handshake, with the client at rest.
func establishedLink(tb testing.TB, v uint16) *link {
	l := newLink(tb, serverConfig(), clientConfig(v))
	l.handshake()
	return l
}

// pairs returns 64 segments of 9 octets and 64 of 16375 in turn: 1 MiB, the DATA
// frames of a batch over TLS.
func pairs() [][]byte {
	var segs [][]byte
	body := randomBytes(1, 1<<20)
	for i := range 64 {
		segs = append(segs, make([]byte, 9), body[i*16375:(i+1)*16375])
	}
	return segs
}

func benchmarkSeal(b *testing.B, segs [][]byte) {
	l := establishedLink(b, tls.VersionTLS13)
	n := 0
	for _, s := range segs {
		n += len(s)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.b.Seal(segs); err != nil {
			b.Fatal(err)
		}
		_ = l.b.Pending()
		l.b.Sent()
	}
}

func BenchmarkSealPairs1M(b *testing.B)      { benchmarkSeal(b, pairs()) }
func BenchmarkSealContiguous1M(b *testing.B) { benchmarkSeal(b, [][]byte{randomBytes(1, 1<<20)}) }
func BenchmarkSealPairs64K(b *testing.B)     { benchmarkSeal(b, pairs()[:8]) }
func BenchmarkSealSmall(b *testing.B) {
	benchmarkSeal(b, [][]byte{make([]byte, 30), make([]byte, 9), make([]byte, 13)})
}
func BenchmarkSealSmallOne(b *testing.B) { benchmarkSeal(b, [][]byte{make([]byte, 52)}) }

// A switchedConn discards what is written, when told to.
type switchedConn struct {
	net.Conn
	discard bool
}

func (s *switchedConn) Write(p []byte) (int, error) {
	if s.discard {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// benchmarkCeiling is what crypto/tls does alone, with nothing done to the
// ciphertext.
func benchmarkCeiling(b *testing.B, n int) {
	client := newPeer(clientConfig(tls.VersionTLS13))
	transport := newPeer(nil)
	wire := &switchedConn{Conn: transport}
	cfg := serverConfig()
	cfg.DynamicRecordSizingDisabled = true
	server := tls.Server(wire, cfg)
	client.start((*tls.Conn).Handshake)
	transport.start(func(*tls.Conn) error { return server.Handshake() })
	for up, down := []byte{0}, []byte(nil); len(up)+len(down) > 0; {
		up = client.settle()
		transport.deliver(up)
		down = transport.settle()
		client.deliver(down)
	}
	if err := transport.result(); err != nil {
		b.Fatal(err)
	}
	wire.discard = true
	p := randomBytes(1, n)
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := server.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCeiling1M(b *testing.B)    { benchmarkCeiling(b, 1<<20) }
func BenchmarkCeilingSmall(b *testing.B) { benchmarkCeiling(b, 52) }

// benchmarkReceive opens n octets at a time, which the client seals while the
// clock stands.
func benchmarkReceive(b *testing.B, n int) {
	l := establishedLink(b, tls.VersionTLS13)
	p := randomBytes(1, n)
	send := func(c *tls.Conn) error {
		_, err := c.Write(p)
		return err
	}
	got := 0
	open := func(plain []byte) error {
		got += len(plain)
		return nil
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		l.p.start(send)
		in := l.p.settle()
		b.StartTimer()
		if err := l.b.Receive(in, open); err != nil {
			b.Fatal(err)
		}
	}
	if got != b.N*n {
		b.Fatalf("opened %d octets", got)
	}
}

func BenchmarkReceive1M(b *testing.B) { benchmarkReceive(b, 1<<20) }

// BenchmarkReceiveSmall opens batches of 1000 records of 40 octets each.
func BenchmarkReceiveSmall(b *testing.B) {
	l := establishedLink(b, tls.VersionTLS13)
	p := make([]byte, 40)
	open := func([]byte) error { return nil }
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(1000, b.N-done)
		b.StopTimer()
		l.p.start(func(c *tls.Conn) error {
			for range n {
				if _, err := c.Write(p); err != nil {
					return err
				}
			}
			return nil
		})
		in := l.p.settle()
		b.StartTimer()
		for range n {
			rec := 40 + 22
			if err := l.b.Receive(in[:rec], open); err != nil {
				b.Fatal(err)
			}
			in = in[rec:]
		}
		done += n
	}
}

// BenchmarkHandshake is the server's part of it, inside Receive and in steps on the
// same goroutine; the client works while the clock stands.
func BenchmarkHandshake(b *testing.B) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, way := range []string{"inline", "held"} {
			b.Run(tls.VersionName(v)+"/"+way, func(b *testing.B) {
				s := newServer(b, serverConfig(), Options{})
				bufs := NewBuffers()
				b.ReportAllocs()
				b.StopTimer()
				for range b.N {
					l := &link{t: b, b: s.NewBridge(bufs), p: newPeer(clientConfig(v))}
					if way == "held" {
						l.b.Hold()
					}
					l.p.start((*tls.Conn).Handshake)
					for !l.b.HandshakeComplete() {
						in := l.p.settle()
						b.StartTimer()
						err := l.b.Receive(in, l.open)
						if l.b.Ready() {
							l.b.Step()
							err = l.b.Stepped(l.open)
						}
						b.StopTimer()
						if err != nil {
							b.Fatal(err)
						}
						l.flush()
					}
					l.end()
				}
			})
		}
	}
}

// TestIdleMemory prints what a connection holds after the handshake, and after a
// request and its answer.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a thousand connections")
	}
	const n = 250
	s := newServer(t, serverConfig(), Options{})
	bufs := NewBuffers()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	measure := func(name string, most uint64, open func() *Bridge) {
		bridges := make([]*Bridge, n)
		open().Stop() // what is made once
		before := heap()
		for i := range bridges {
			bridges[i] = open()
		}
		each := (heap() - before) / n
		t.Logf("%s: %d octets of heap a connection", name, each)
		if each > most {
			t.Errorf("%s: %d octets a connection, want at most %d", name, each, most)
		}
		if f := os.Getenv("H2LOOP_HEAP_PROFILE"); f != "" && name == "TLS 1.3" {
			w := must(os.Create(f))
			_ = pprof.WriteHeapProfile(w)
			_ = w.Close()
		}
		for _, b := range bridges {
			b.Stop()
		}
	}
	connected := func(v uint16, upload int) func() *Bridge {
		return func() *Bridge {
			l := &link{t: t, b: s.NewBridge(bufs), p: newPeer(clientConfig(v))}
			l.handshake()
			if upload > 0 {
				l.clientSends(make([]byte, upload))
				l.serverSends(make([]byte, 1000))
			}
			l.p.hangUp()
			return l.b
		}
	}
	hello := clientHello(clientConfig(tls.VersionTLS13))
	measure("before the ClientHello", 512, func() *Bridge { return s.NewBridge(bufs) })
	measure("half a ClientHello", 4096, func() *Bridge {
		b := s.NewBridge(bufs)
		_ = b.Receive(hello[:len(hello)/2], nil)
		return b
	})
	measure("in the handshake (less its stack)", 64<<10, func() *Bridge {
		b := s.NewBridge(bufs)
		_ = b.Receive(hello, nil)
		return b
	})
	measure("TLS 1.3", 12<<10, connected(tls.VersionTLS13, 0))
	measure("TLS 1.3 after an exchange", 12<<10, connected(tls.VersionTLS13, 100))
	measure("TLS 1.3 after an upload in full records", 48<<10, connected(tls.VersionTLS13, 300<<10))
	measure("TLS 1.2", 12<<10, connected(tls.VersionTLS12, 0))
}
