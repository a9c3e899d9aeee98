package tlsbridge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestHeld runs handshakes of every kind in steps, each on another goroutine.
func TestHeld(t *testing.T) {
	retry := serverConfig()
	retry.CurvePreferences = []tls.CurveID{tls.CurveP384} // no client sends a share for it at first
	mutual := serverConfig()
	mutual.ClientAuth = tls.RequireAndVerifyClientCert
	mutual.ClientCAs = ca().pool
	rsa := serverConfig()
	rsa.Certificates = []tls.Certificate{rsaCert()}
	servers := map[string]*tls.Config{"plain": serverConfig(), "retry": retry, "client certificate": mutual, "RSA": rsa}

	versions(t, func(t *testing.T, v uint16) {
		for name, cfg := range servers {
			for _, step := range []int{0, 1, 7} {
				t.Run(fmt.Sprintf("%s/step %d", name, step), func(t *testing.T) {
					leak := noLeak(t)
					s := newServer(t, cfg, Options{})
					client := clientConfig(v)
					client.Certificates = []tls.Certificate{ca().issue(newECDSA(), "client", 0)}
					client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
					for i, resumed := range []bool{false, true} {
						l := newLinkOn(t, s, NewBuffers(), client)
						l.hold()
						l.step = step
						l.handshake()
						l.serverSends([]byte("the client reads its ticket on the way"))
						l.clientSends(randomBytes(1, 100000))
						st := l.b.ConnectionState()
						if st.DidResume != resumed || st.Version != v || l.b.Protocol() != "h2" || !l.b.AllowsHTTP2() {
							t.Errorf("connection %d: %+v, protocol %q", i, st, l.b.Protocol())
						}
						if retried := st.HelloRetryRequest; retried != (name == "retry" && v == tls.VersionTLS13) {
							t.Errorf("connection %d: HelloRetryRequest %v", i, retried)
						}
						if certs := len(st.PeerCertificates); (certs > 0) != (name == "client certificate") {
							t.Errorf("connection %d: %d client certificates", i, certs)
						}
						l.end()
						checkStopped(t, l.b)
					}
					leak()
				})
			}
		}
	})
}

// TestHeldMovesInSteps wants nothing to happen outside of Step and nothing to be
// seen before Stepped.
func TestHeldMovesInSteps(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	hello := clientHello(clientConfig(tls.VersionTLS13))
	b := s.NewBridge(NewBuffers())
	b.Hold()
	if b.Ready() {
		t.Error("a step is due before anything came")
	}
	if err := b.Stepped(noPlaintext(t)); err != nil {
		t.Errorf("Stepped before anything came: %v", err)
	}
	b.Step()
	for cut := 1; cut < len(hello); cut += 100 {
		part := s.NewBridge(NewBuffers())
		part.Hold()
		if err := part.Receive(hello[:cut], noPlaintext(t)); err != nil || part.Ready() {
			t.Errorf("%d of %d octets of a hello: %v, step due %v", cut, len(hello), err, part.Ready())
		}
		part.Stop()
		checkStopped(t, part)
	}
	if err := b.Receive(hello, noPlaintext(t)); err != nil || !b.Ready() {
		t.Fatalf("a step is not due, %v", err)
	}
	if n := coroutines(); n != 0 {
		t.Errorf("%d coroutines before the step", n)
	}
	b.Step()
	if n := coroutines(); n != 1 {
		t.Errorf("%d coroutines after the step", n)
	}
	if b.Ready() || len(b.Pending()) != 0 {
		t.Errorf("before Stepped: step due %v, %d octets pending", b.Ready(), len(b.Pending()))
	}
	if err := b.Stepped(noPlaintext(t)); err != nil || len(b.Pending()) == 0 || b.Ready() {
		t.Errorf("after Stepped: %v, %d octets pending, step due %v", err, len(b.Pending()), b.Ready())
	}
	n := len(b.Pending())
	b.Step() // with nothing to read
	if err := b.Stepped(noPlaintext(t)); err != nil || len(b.Pending()) != n || b.Ready() {
		t.Errorf("after an empty step: %v, %d octets pending, step due %v", err, len(b.Pending()), b.Ready())
	}
	b.Stop()
	checkStopped(t, b)
	if n := coroutines(); n != 0 {
		t.Errorf("%d coroutines are left", n)
	}
}

// A blocked step is one whose callback waits until it is released.
type blockedStep struct {
	*link
	entered chan bool
	release chan bool
	done    chan bool
}

// blockStep returns a link whose step is inside act, having waited there. With
// second, the callback is one of the second flight.
func blockStep(t *testing.T, v uint16, second bool, act func()) *blockedStep {
	s := &blockedStep{entered: make(chan bool), release: make(chan bool), done: make(chan bool)}
	name := "first flight"
	if second {
		name = "second flight"
	}
	cfg := misbehaving(func() {
		close(s.entered)
		<-s.release
		act()
	})[name]
	s.link = newLink(t, cfg, clientConfig(v))
	s.b.Hold()
	s.p.start(func(c *tls.Conn) error {
		_, err := c.Write([]byte("hello"))
		return err
	})
	if err := s.b.Receive(s.p.settle(), s.open); err != nil {
		t.Fatal(err)
	}
	if second {
		s.b.Step()
		if err := s.b.Stepped(s.open); err != nil {
			t.Fatal(err)
		}
		s.p.deliver(s.b.Pending()) // on loan still while the next step runs
		if err := s.b.Receive(s.p.settle(), s.open); err != nil {
			t.Fatal(err)
		}
	}
	if !s.b.Ready() {
		t.Fatal("no step is due")
	}
	go func() {
		defer close(s.done)
		s.b.Step()
	}()
	<-s.entered
	return s
}

// finish lets the step go and waits for its end.
func (s *blockedStep) finish() {
	close(s.release)
	<-s.done
}

func nothing() {}

// TestReceiveWhileStepping has octets arrive while a step runs: the end of the
// handshake behind its beginning, and application data behind its end.
func TestReceiveWhileStepping(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		leak := noLeak(t)
		s := blockStep(t, v, true, nothing)
		s.b.Sent()
		if s.b.Ready() || s.b.HandshakeComplete() || s.b.Protocol() != "" || s.b.ConnectionState() != nil {
			t.Error("there is a result while the step runs")
		}
		if err := s.b.Seal([][]byte{{1}}); err == nil {
			t.Error("Seal while the step runs: no error")
		}
		s.b.CloseNotify()
		var more []byte
		if v == tls.VersionTLS13 { // else the client waits for the server's Finished
			if err := s.p.result(); err != nil {
				t.Fatal(err)
			}
			s.p.start(func(c *tls.Conn) error {
				_, err := c.Write(randomBytes(1, 50000))
				return err
			})
			more = randomBytes(1, 50000)
			for piece := range slices.Chunk(s.p.settle(), 1000) {
				if err := s.b.Receive(piece, noPlaintext(t)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := len(s.b.Pending()); n != 0 {
			t.Errorf("%d octets pending while the step runs", n)
		}
		s.finish()
		if err := s.b.Stepped(s.open); err != nil || !s.b.HandshakeComplete() || s.b.Ready() {
			t.Fatalf("%v, complete %v", err, s.b.HandshakeComplete())
		}
		s.run()
		if err := s.p.result(); err != nil {
			t.Errorf("client: %v", err)
		}
		if want := append([]byte("hello"), more...); !bytes.Equal(s.opened.Bytes(), want) {
			t.Errorf("opened %d octets, want %d", s.opened.Len(), len(want))
		}
		s.clientSends([]byte("more"))
		s.serverSends([]byte("you"))
		s.end()
		leak()
	})
}

// TestNextStepWhileStepping cuts the second flight in two, of which the latter
// comes while the first is read.
func TestNextStepWhileStepping(t *testing.T) {
	s := blockStep(t, tls.VersionTLS13, false, nothing)
	s.finish()
	if err := s.b.Stepped(s.open); err != nil {
		t.Fatal(err)
	}
	s.flush()
	in := s.p.settle()
	half := len(in) / 3
	if err := s.b.Receive(in[:half], s.open); err != nil || !s.b.Ready() {
		t.Fatal(err)
	}
	s.b.Step()
	if err := s.b.Receive(in[half:], s.open); err != nil || s.b.Ready() {
		t.Fatalf("%v, ready %v", err, s.b.Ready())
	}
	if err := s.b.Stepped(s.open); err != nil || !s.b.Ready() {
		t.Fatalf("%v, ready %v", err, s.b.Ready())
	}
	s.b.Step()
	if err := s.b.Stepped(s.open); err != nil || s.opened.String() != "hello" {
		t.Fatalf("%v, opened %q", err, s.opened.String())
	}
}

// TestStopWhileStepping stops a bridge whose step is in a callback, at the first
// flight and at the second, with and without Stepped after it.
func TestStopWhileStepping(t *testing.T) {
	acts := map[string]func(){"returns": nothing, "panics": func() { panic("oops") }, "exits": runtime.Goexit}
	versions(t, func(t *testing.T, v uint16) {
		for name, act := range acts {
			for _, second := range []bool{false, true} {
				for _, stepped := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/second %v/stepped %v", name, second, stepped), func(t *testing.T) {
						leak := noLeak(t)
						s := blockStep(t, v, second, act)
						s.b.Stop()
						s.b.Sent()
						if n := len(s.b.Pending()); n != 0 {
							t.Errorf("%d octets pending after Stop", n)
						}
						if err := s.b.Receive([]byte("x"), noPlaintext(t)); !errors.Is(err, net.ErrClosed) {
							t.Errorf("Receive after Stop: %v", err)
						}
						s.b.Stop()
						h := s.b.wire.hs
						s.finish()
						if n := coroutines(); n != 0 {
							t.Errorf("%d coroutines are left when the step is done", n)
						}
						if h.conn != nil || h.in != nil || h.out != nil || h.kept.Load() != nil {
							t.Error("the handshake holds on to something")
						}
						if stepped {
							if err := s.b.Stepped(noPlaintext(t)); !errors.Is(err, net.ErrClosed) {
								t.Errorf("Stepped after Stop: %v", err)
							}
							checkStopped(t, s.b)
						}
						s.b.Step()
						if s.b.Ready() {
							t.Error("a step of a stopped bridge is due")
						}
						s.end()
						leak()
					})
				}
			}
		}
	})
}

// TestStopAroundStep stops a held bridge wherever no step runs, and wants a step
// that is late to do nothing.
func TestStopAroundStep(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		s := newServer(t, serverConfig(), Options{})
		leak := noLeak(t)
		for stage := range 7 {
			l := newLinkOn(t, s, NewBuffers(), clientConfig(v))
			l.b.Hold()
			l.p.start((*tls.Conn).Handshake)
			hello := l.p.settle()
			receive := func(in []byte) func() {
				return func() {
					if err := l.b.Receive(in, noPlaintext(t)); err != nil {
						t.Fatal(err)
					}
				}
			}
			stepped := func() {
				if err := l.b.Stepped(noPlaintext(t)); err != nil {
					t.Fatal(err)
				}
			}
			for _, do := range []func(){
				receive(hello), l.b.Step, stepped,
				func() { l.flush(); receive(l.p.settle())() }, l.b.Step, stepped,
			}[:stage] {
				do()
			}
			if complete := l.b.HandshakeComplete(); complete != (stage == 6) {
				t.Fatalf("stage %d: complete %v", stage, complete)
			}
			l.b.Stop()
			l.b.Step()
			if err := l.b.Stepped(noPlaintext(t)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("stage %d: Stepped: %v", stage, err)
			}
			if n := coroutines(); n != 0 {
				t.Errorf("stage %d: %d coroutines are left", stage, n)
			}
			checkStopped(t, l.b)
			l.end()
		}
		leak()
	})
}

// TestStopRacesStep has Stop and Step begin at once, so that all their orders
// come about.
func TestStopRacesStep(t *testing.T) {
	s := newServer(t, serverConfig(), Options{})
	hello := clientHello(clientConfig(tls.VersionTLS13))
	leak := noLeak(t)
	for i := range 300 {
		b := s.NewBridge(NewBuffers())
		b.Hold()
		if err := b.Receive(hello, noPlaintext(t)); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			b.Step()
		}()
		for range i % 10 {
			runtime.Gosched()
		}
		_ = b.Receive([]byte("\x17"), noPlaintext(t))
		b.Stop()
		<-done
		if i%2 == 0 {
			_ = b.Stepped(noPlaintext(t))
			checkStopped(t, b)
		}
	}
	leak()
}

// TestStoppedWhileItReads has a callback read from the connection, in the step in
// which Stop is called: the Read fails though there is an octet, and so do all
// later ones; what the callback writes is not kept.
func TestStoppedWhileItReads(t *testing.T) {
	var b *Bridge
	var errs []error
	written := -1
	entered, release, done := make(chan bool), make(chan bool), make(chan bool)
	cfg := serverConfig()
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		close(entered)
		<-release
		for range 2 {
			_, err := h.Conn.Read(make([]byte, 1))
			errs = append(errs, err)
		}
		_, err := h.Conn.Write([]byte("x"))
		written = len(b.wire.hs.out)
		return nil, err
	}
	b = newServer(t, cfg, Options{}).NewBridge(NewBuffers())
	b.Hold()
	if err := b.Receive(append(clientHello(clientConfig(tls.VersionTLS13)), 0x17), noPlaintext(t)); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		b.Step()
	}()
	<-entered
	b.Stop()
	close(release)
	<-done
	if len(errs) != 2 || !errors.Is(errs[0], net.ErrClosed) || !errors.Is(errs[1], net.ErrClosed) {
		t.Errorf("errors of Read: %v", errs)
	}
	if written != 0 {
		t.Errorf("%d octets written after Stop", written)
	}
	if n := coroutines(); n != 0 {
		t.Errorf("%d coroutines are left", n)
	}
}

// TestSteppedTooEarly wants a panic: it is the caller's mistake.
func TestSteppedTooEarly(t *testing.T) {
	s := blockStep(t, tls.VersionTLS13, false, nothing)
	defer s.finish()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		s.b.Stop()
	}()
	_ = s.b.Stepped(s.open)
}

// TestHeldPanic wants what callbacks do in a step as Stepped's error, and the
// goroutine that called Step to live.
func TestHeldPanic(t *testing.T) {
	acts := map[string]func(){"panic": func() { panic("oops") }, "exit": runtime.Goexit}
	versions(t, func(t *testing.T, v uint16) {
		for act, f := range acts {
			for name, cfg := range misbehaving(f) {
				t.Run(act+"/"+name, func(t *testing.T) {
					leak := noLeak(t)
					l := newLink(t, cfg, clientConfig(v))
					l.hold()
					l.p.start((*tls.Conn).Handshake)
					l.run()
					pe, ok := errors.AsType[PanicError](l.err)
					if !ok || !strings.Contains(string(pe.Stack), "misbehaving") {
						t.Fatalf("%v, want PanicError with the stack", l.err)
					}
					if err := l.b.Stepped(noPlaintext(t)); !errors.As(err, &pe) {
						t.Errorf("then %v", err)
					}
					checkStopped(t, l.b)
					l.end()
					leak()
				})
			}
		}
	})
}

// TestHeldAlert wants the alert that a step has made, and its error from then on.
func TestHeldAlert(t *testing.T) {
	l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
	l.hold()
	l.recv([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	if l.err == nil {
		t.Fatal("no error")
	}
	if got := l.b.Pending(); !bytes.Equal(got, []byte("\x15\x03\x01\x00\x02\x02\x32")) && !bytes.Equal(got, []byte("\x15\x03\x03\x00\x02\x02\x32")) {
		t.Errorf("pending %x, want decode_error", got)
	}
	if err := l.b.Receive([]byte("x"), noPlaintext(t)); !errors.Is(err, l.err) {
		t.Errorf("then Receive: %v, want %v", err, l.err)
	}
	if err := l.b.Stepped(noPlaintext(t)); !errors.Is(err, l.err) || l.b.Ready() {
		t.Errorf("then Stepped: %v, want %v; step due %v", err, l.err, l.b.Ready())
	}
	l.end()
	checkStopped(t, l.b)
}

func TestHeldNotTLS(t *testing.T) {
	b := newServer(t, serverConfig(), Options{}).NewBridge(NewBuffers())
	b.Hold()
	if _, ok := errors.AsType[NotTLSError](b.Receive([]byte("GET / HTTP/1.1\r\n"), noPlaintext(t))); !ok || b.Ready() {
		t.Error("no NotTLSError, or a step is due")
	}
	b.Stop()
	checkStopped(t, b)
}

// TestHeldTooLarge wants octets bounded at their arrival: before the first step,
// while a step runs, and when it waits for more.
func TestHeldTooLarge(t *testing.T) {
	hello := clientHello(clientConfig(tls.VersionTLS13))
	leak := noLeak(t)
	s := newServer(t, serverConfig(), Options{MaxHandshakeBytes: len(hello) + 10})
	begun := func() *Bridge {
		b := s.NewBridge(NewBuffers())
		b.Hold()
		if err := b.Receive(hello, noPlaintext(t)); err != nil || !b.Ready() {
			t.Fatal(err)
		}
		return b
	}
	over := func(b *Bridge, most int) {
		t.Helper()
		if err := b.Receive(make([]byte, most), noPlaintext(t)); err != nil {
			t.Errorf("%d octets: %v", most, err)
		}
		if err := b.Receive(make([]byte, 1), noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
			t.Errorf("one more than %d octets: %v", most, err)
		}
		if b.Ready() {
			t.Error("a step is due")
		}
		b.Step()
		if err := b.Stepped(noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
			t.Errorf("Stepped: %v", err)
		}
		if n := coroutines(); n != 0 {
			t.Errorf("%d coroutines are left", n)
		}
		b.Stop()
		checkStopped(t, b)
	}
	over(begun(), 10)

	b := begun()
	b.Step()
	if err := b.Stepped(noPlaintext(t)); err != nil {
		t.Fatal(err)
	}
	over(b, len(hello)+10+earlyBytes)

	whole := s.NewBridge(NewBuffers())
	whole.Hold()
	if err := whole.Receive(append(bytes.Clone(hello), make([]byte, 11)...), noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
		t.Errorf("one octet too many at once: %v", err)
	}
	whole.Stop()

	for _, stop := range []bool{false, true} {
		running := blockStep(t, tls.VersionTLS13, false, nothing)
		if err := running.b.Receive(make([]byte, defaultMaxHandshakeBytes+1), noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
			t.Errorf("while a step runs: %v", err)
		}
		if stop {
			running.b.Stop()
		}
		running.finish()
		if n := coroutines(); n != 0 {
			t.Errorf("%d coroutines are left", n)
		}
		if err := running.b.Stepped(noPlaintext(t)); !errors.Is(err, ErrHandshakeTooLarge) {
			t.Errorf("Stepped: %v", err)
		}
		running.end()
		checkStopped(t, running.b)
	}
	leak()
}

// TestHeldQuota wants what the handshake reads counted exactly, whatever is kept.
func TestHeldQuota(t *testing.T) {
	server := serverConfig()
	server.ClientAuth = tls.RequireAnyClientCert
	client := clientConfig(tls.VersionTLS13)
	client.Certificates = []tls.Certificate{ca().issue(newECDSA(), "client", 60000)}
	l := newLinkOn(t, newServer(t, server, Options{MaxHandshakeBytes: 20000}), NewBuffers(), client)
	l.hold()
	l.p.start((*tls.Conn).Handshake)
	l.run()
	if !errors.Is(l.err, ErrHandshakeTooLarge) {
		t.Errorf("%v, want ErrHandshakeTooLarge", l.err)
	}
}

// TestHeldOpenError wants an error of open from Stepped, and no call after it, nor
// after Stop.
func TestHeldOpenError(t *testing.T) {
	mine := errors.New("mine")
	for name, act := range map[string]func(*Bridge) error{
		"error": func(*Bridge) error { return mine },
		"stop":  func(b *Bridge) error { b.Stop(); return nil },
	} {
		s := blockStep(t, tls.VersionTLS13, true, nothing)
		s.b.Sent()
		s.p.start(func(c *tls.Conn) error {
			_, err := c.Write([]byte("more"))
			return err
		})
		if err := s.b.Receive(s.p.settle(), noPlaintext(t)); err != nil {
			t.Fatal(err)
		}
		s.finish()
		calls := 0
		err := s.b.Stepped(func([]byte) error {
			calls++
			return act(s.b)
		})
		if calls != 1 || (!errors.Is(err, mine) && !errors.Is(err, net.ErrClosed)) {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}
	}
}

// TestHeldOnLockedThread has a loop that is locked to its thread call Step itself.
func TestHeldOnLockedThread(t *testing.T) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range 2 {
			l := newLink(t, serverConfig(), clientConfig(tls.VersionTLS13))
			l.b.Hold()
			l.p.start((*tls.Conn).Handshake)
			for range 2 {
				if err := l.b.Receive(l.p.settle(), l.open); err != nil {
					t.Error(err)
				}
				l.b.Step()
				if err := l.b.Stepped(l.open); err != nil {
					t.Error(err)
				}
				l.flush()
			}
			if !l.b.HandshakeComplete() {
				t.Error("the handshake is not complete")
			}
			l.end()
		}
	}()
	<-done
}
