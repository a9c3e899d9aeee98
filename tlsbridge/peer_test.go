package tlsbridge

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A peer is the client: a crypto/tls client in a goroutine of its own, above a
// connection in memory whose writes never block. settle waits until the client
// is done or waits for bytes that are not there, so that a test sees every state
// at leisure and no timing decides it.
type peer struct {
	conn *tls.Conn

	mu      sync.Mutex
	changed *sync.Cond
	in      []byte // for the client
	out     []byte // from the client
	waiting bool   // the client waits in Read
	closed  bool   // Read returns io.EOF when in is empty
	running bool   // a script runs
	err     error  // what the script returned
}

func newPeer(cfg *tls.Config) *peer {
	p := &peer{}
	p.changed = sync.NewCond(&p.mu)
	p.conn = tls.Client(p, cfg)
	return p
}

func (p *peer) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.in) == 0 {
		if p.closed {
			return 0, io.EOF
		}
		p.waiting = true
		p.changed.Broadcast()
		p.changed.Wait()
	}
	p.waiting = false
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	return len(b), nil
}

func (p *peer) Close() error                     { return nil }
func (p *peer) LocalAddr() net.Addr              { return noAddr{} }
func (p *peer) RemoteAddr() net.Addr             { return noAddr{} }
func (p *peer) SetDeadline(time.Time) error      { return nil }
func (p *peer) SetReadDeadline(time.Time) error  { return nil }
func (p *peer) SetWriteDeadline(time.Time) error { return nil }

// start runs a script of the client.
func (p *peer) start(script func(c *tls.Conn) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		panic("a script is running")
	}
	p.running = true
	go func() {
		err := script(p.conn)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running, p.waiting, p.err = false, false, err
		p.changed.Broadcast()
	}()
}

// settle waits until the client can do nothing without more bytes, and returns
// what it has sent.
func (p *peer) settle() (out []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running && (!p.waiting || len(p.in) > 0 || p.closed) {
		p.changed.Wait()
	}
	out, p.out = p.out, nil
	return out
}

func (p *peer) deliver(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = append(p.in, b...)
	p.changed.Broadcast()
}

// hangUp ends the client's connection: its reads return io.EOF.
func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
}

// result waits until the script has ended.
func (p *peer) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running {
		p.changed.Wait()
	}
	return p.err
}

// A link is a Bridge and its peer, and carries bytes between them.
type link struct {
	t      testing.TB
	b      *Bridge
	p      *peer
	step   int          // octets per Receive; 0: all there are
	held   bool         // steps run, each on a goroutine of its own
	opened bytes.Buffer // plaintext that came out
	sent   bytes.Buffer // ciphertext that came out
	err    error        // what Receive returned
}

func newLink(t testing.TB, server *tls.Config, client *tls.Config) *link {
	return newLinkOn(t, newServer(t, server, Options{}), NewBuffers(), client)
}

func newLinkOn(t testing.TB, s *Server, bufs *Buffers, client *tls.Config) *link {
	l := &link{t: t, b: s.NewBridge(bufs), p: newPeer(client)}
	t.Cleanup(l.end)
	return l
}

func newServer(t testing.TB, cfg *tls.Config, opts Options) *Server {
	t.Helper()
	s, err := NewServer(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (l *link) end() {
	l.b.Stop()
	l.p.hangUp()
	_ = l.p.result()
}

// recv gives the bridge in, step octets at a time, until it returns an error.
// The memory of in is overwritten afterwards, for Receive borrows it.
func (l *link) recv(in []byte) {
	step := l.step
	if step == 0 {
		step = max(len(in), 1)
	}
	for len(in) > 0 && l.err == nil {
		piece := in[:min(step, len(in))]
		in = in[len(piece):]
		l.err = l.b.Receive(piece, l.open)
		clear(piece)
		for l.err == nil && l.b.Ready() {
			l.err = l.stepElsewhere()
		}
	}
}

func (l *link) open(plain []byte) error {
	if !l.b.HandshakeComplete() {
		l.t.Error("open called before the handshake is complete")
	}
	l.opened.Write(plain)
	return nil
}

// hold has the handshake run in steps.
func (l *link) hold() {
	l.b.Hold()
	l.held = true
}

// stepElsewhere runs a step on a goroutine of its own.
func (l *link) stepElsewhere() error {
	if !l.held {
		l.t.Error("a step is due, and nothing is held")
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		l.b.Step()
	}()
	<-done
	return l.b.Stepped(l.open)
}

// flush brings to the peer what is pending and reports whether there was any.
func (l *link) flush() bool {
	out := l.b.Pending()
	if len(out) == 0 {
		return false
	}
	l.sent.Write(out)
	l.p.deliver(out)
	l.b.Sent()
	if n := len(l.b.Pending()); n != 0 {
		l.t.Errorf("%d octets pending after Sent", n)
	}
	return true
}

// run carries bytes both ways until neither side has any left.
func (l *link) run() {
	for {
		in := l.p.settle()
		l.recv(in)
		if !l.flush() && len(in) == 0 {
			return
		}
	}
}

// handshake runs the handshake to its end, on both sides.
func (l *link) handshake() {
	l.t.Helper()
	l.p.start((*tls.Conn).Handshake)
	l.run()
	if l.err != nil {
		l.t.Fatalf("server: %v", l.err)
	}
	if err := l.p.result(); err != nil {
		l.t.Fatalf("client: %v", err)
	}
	if !l.b.HandshakeComplete() {
		l.t.Fatal("the handshake is not complete")
	}
}

// clientSends has the client write p, and wants the server to open it.
func (l *link) clientSends(p []byte) {
	l.t.Helper()
	l.opened.Reset()
	l.p.start(func(c *tls.Conn) error {
		_, err := c.Write(p)
		return err
	})
	l.run()
	if err := l.p.result(); err != nil || l.err != nil {
		l.t.Fatalf("sending %d octets: client %v, server %v", len(p), err, l.err)
	}
	if !bytes.Equal(l.opened.Bytes(), p) {
		l.t.Fatalf("server opened %d octets, want the %d sent", l.opened.Len(), len(p))
	}
}

// serverSends seals segs, and wants the client to read their concatenation.
func (l *link) serverSends(segs ...[]byte) {
	l.t.Helper()
	want := bytes.Join(segs, nil)
	got := make([]byte, len(want))
	l.p.start(func(c *tls.Conn) error {
		_, err := io.ReadFull(c, got)
		return err
	})
	if err := l.b.Seal(segs); err != nil {
		l.t.Fatal(err)
	}
	l.run()
	l.p.hangUpIfWaiting()
	if err := l.p.result(); err != nil {
		l.t.Fatalf("client: %v", err)
	}
	if !bytes.Equal(got, want) {
		l.t.Fatalf("the client read other octets than the %d sealed", len(want))
	}
}

// hangUpIfWaiting makes a script that would wait for ever fail instead.
func (p *peer) hangUpIfWaiting() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running {
		p.closed = true
		p.changed.Broadcast()
	}
}

// coroutines returns how many coroutines of handshakes there are. One that has
// ended or was stopped is gone at once, so that the number is exact.
func coroutines() int {
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("created by iter.Pull"))
}

// noLeak returns a function that fails the test if there are coroutines or if
// there are more goroutines than now. The client's goroutines go some time after
// their last statement, so it looks again for a while before it says so.
func noLeak(t testing.TB) func() {
	before := runtime.NumGoroutine()
	return func() {
		t.Helper()
		if n := coroutines(); n != 0 {
			t.Errorf("%d coroutines are left", n)
		}
		var n int
		for range 1000 {
			if n = runtime.NumGoroutine(); n <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%d goroutines, were %d", n, before)
	}
}

// An authority signs the certificates of the tests.
type authority struct {
	pool *x509.CertPool
	cert *x509.Certificate
	key  crypto.Signer
}

var ca = sync.OnceValue(func() *authority { return newAuthority("authority") })

func newAuthority(name string) *authority {
	key := newECDSA()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	a := &authority{pool: x509.NewCertPool(), cert: must(x509.ParseCertificate(der)), key: key}
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate for key, with size octets of padding in it.
func (a *authority) issue(key crypto.Signer, name string, size int) tls.Certificate {
	return a.issueUntil(key, name, size, time.Now().Add(24*time.Hour))
}

func (a *authority) issueUntil(key crypto.Signer, name string, size int, end time.Time) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: name, Organization: []string{string(bytes.Repeat([]byte("x"), size))}},
		DNSNames:     []string{name},
		NotAfter:     end,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return tls.Certificate{
		Certificate: [][]byte{der, a.cert.Raw},
		PrivateKey:  key,
		Leaf:        must(x509.ParseCertificate(der)),
	}
}

var (
	ecdsaCert   = sync.OnceValue(func() tls.Certificate { return ca().issue(newECDSA(), "server", 0) })
	rsaCert     = sync.OnceValue(func() tls.Certificate { return ca().issue(must(rsa.GenerateKey(rand.Reader, 2048)), "server", 0) })
	ed25519Cert = sync.OnceValue(func() tls.Certificate {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return ca().issue(must(key, err), "server", 0)
	})
)

func newECDSA() *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// serverConfig is that of an ordinary server.
func serverConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{ecdsaCert()},
		NextProtos:   []string{"h2", "http/1.1"},
	}
}

// clientConfig is that of an ordinary client of version v.
func clientConfig(v uint16) *tls.Config {
	return &tls.Config{
		RootCAs:    ca().pool,
		ServerName: "server",
		NextProtos: []string{"h2"},
		MinVersion: v,
		MaxVersion: v,
	}
}

// versions runs f as a subtest for each version of TLS that matters.
func versions(t *testing.T, f func(t *testing.T, v uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) { f(t, v) })
	}
}

// ways runs f as a subtest for handshakes inside Receive and for those in steps;
// f calls set with each link.
func ways(t *testing.T, f func(t *testing.T, set func(*link))) {
	t.Run("inline", func(t *testing.T) { f(t, func(*link) {}) })
	t.Run("held", func(t *testing.T) { f(t, (*link).hold) })
}

// clientHello returns the first flight of a client.
func clientHello(cfg *tls.Config) []byte {
	p := newPeer(cfg)
	p.start((*tls.Conn).Handshake)
	out := p.settle()
	p.hangUp()
	_ = p.result()
	return out
}

// A record is one TLS record as it lies on the wire.
type record struct {
	typ     byte
	payload []byte
}

// records cuts b, which must hold whole records.
func records(t testing.TB, b []byte) []record {
	t.Helper()
	var rs []record
	for len(b) > 0 {
		if len(b) < recordHeaderLen || len(b) < recordHeaderLen+(int(b[3])<<8|int(b[4])) {
			t.Fatalf("%d octets at the end are not a record", len(b))
		}
		n := recordHeaderLen + (int(b[3])<<8 | int(b[4]))
		rs = append(rs, record{b[0], b[recordHeaderLen:n]})
		b = b[n:]
	}
	return rs
}
