package loop_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// who answers with what an exchange knows of its connection.
func who(srv *loop.Server) {
	srv.Handle("/", func(x *loop.Exchange) {
		kind := "cleartext"
		if x.TLS() != nil {
			kind = "TLS"
		}
		_ = x.SendString(200, kind+" "+x.LocalAddr().String()+" "+x.RemoteAddr().String())
	})
}

// TestListeners serves on listeners of every kind at once.
func TestListeners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, tlsPath, given := filepath.Join(dir, "s"), filepath.Join(dir, "tls"), filepath.Join(dir, "given")
	supplied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	suppliedUnix, err := net.Listen("unix", given)
	if err != nil {
		t.Fatal(err)
	}
	ts := newServer(t, loop.Config{Listeners: []loop.Listener{
		{Address: "127.0.0.1:0"},
		{Network: "tcp4", Address: "127.0.0.1:0", TLS: serverTLS()},
		{Network: "tcp6", Address: "[::1]:0"},
		{Address: ":0"}, // both families
		{Network: "unix", Address: path},
		{Network: "unix", Address: tlsPath, TLS: serverTLS()},
		{Listener: supplied},
		{Listener: suppliedUnix},
	}}, who)
	addrs := ts.srv.Addrs()
	if len(addrs) != 8 {
		t.Fatalf("Addrs: %v", addrs)
	}
	var noAddr netip.AddrPort
	for i, addr := range addrs {
		target := addr.String()
		if i == 3 {
			target = strings.Replace(target, "[::]", "127.0.0.1", 1)
		}
		for range 3 {
			nc := dialAddr(t, addr.Network(), target)
			local, remote := nc.RemoteAddr().String(), nc.LocalAddr().String()
			if addr.Network() == "unix" {
				local, remote = noAddr.String(), noAddr.String()
			}
			kind := "cleartext"
			if i == 1 || i == 5 {
				kind = "TLS"
				nc = tls.Client(nc, clientTLS("h2"))
			}
			openOn(t, nc).fetch("/").want(t, "200", kind+" "+local+" "+remote)
			_ = nc.Close()
		}
	}
	ts.shutdown()
	for _, file := range []string{path, tlsPath, given} {
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	if _, err := supplied.Accept(); err == nil {
		t.Error("a supplied listener is not closed")
	}
}

// TestLargeBodyOnUnixSocket takes another way out than TCP.
func TestLargeBodyOnUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	body := pattern(bigLen)
	newServer(t, loop.Config{Listeners: []loop.Listener{{Network: "unix", Address: path}}}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendStatic(200, body) })
	})
	p := openOn(t, dialAddr(t, "unix", path), initialWindow(1<<30))
	p.grant(0, 1<<30)
	wantSame(t, p.fetch("/").body, body)
	p.out = append(p.out, badFrame()...)
	p.flush()
	p.untilClosed()
	p.wantCleanEnd()
}

// TestBadConfigs sees that errors name the field, and that nothing stays open.
func TestBadConfigs(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := loop.Listener{Address: "127.0.0.1:0"}
	for _, tt := range []struct {
		name string
		cfg  loop.Config
		says string
	}{
		{"no listener", loop.Config{}, "Config.Listeners is empty"},
		{"network", loop.Config{Listeners: []loop.Listener{good, {Network: "udp"}}}, "Config.Listeners[1].Network"},
		{"loops", loop.Config{Listeners: []loop.Listener{good}, Loops: -1}, "Config.Loops"},
		{"handshake", loop.Config{Listeners: []loop.Listener{good}, HandshakeTimeout: -1}, "Config.HandshakeTimeout"},
		{"idle", loop.Config{Listeners: []loop.Listener{good}, IdleTimeout: -1}, "Config.IdleTimeout"},
		{"drain", loop.Config{Listeners: []loop.Listener{good}, DrainTimeout: -1}, "Config.DrainTimeout"},
		{"body", loop.Config{Listeners: []loop.Listener{good}, MaxBufferedBody: -1}, "Config.MaxBufferedBody"},
		{"handshake octets", loop.Config{Listeners: []loop.Listener{good}, MaxHandshakeBytes: -1}, "Config.MaxHandshakeBytes"},
		{"address in use", loop.Config{Listeners: []loop.Listener{good, {Address: taken.Addr().String()}}}, "Config.Listeners[1]: listen tcp "},
		{"address in use, named", loop.Config{Listeners: []loop.Listener{{Address: taken.Addr().String()}}}, taken.Addr().String()},
		{"no address", loop.Config{Listeners: []loop.Listener{{Address: "nowhere"}}}, "nowhere"},
		{"no certificate", loop.Config{Listeners: []loop.Listener{good, {Address: "127.0.0.1:0", TLS: &tls.Config{}}}}, "Config.Listeners[1].TLS"},
		{"wrapped listener", loop.Config{Listeners: []loop.Listener{good, {Listener: wrapped{}}}}, "Config.Listeners[1].Listener"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, err := loop.New(tt.cfg)
			if err == nil || srv != nil || !strings.HasPrefix(err.Error(), "loop: ") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New: %v, want an error that says %q", err, tt.says)
			}
		})
	}
}

// wrapped is a listener whose connections give no descriptors.
type wrapped struct{}

func (wrapped) Accept() (net.Conn, error) { return nil, io.EOF }
func (wrapped) Addr() net.Addr            { return &net.TCPAddr{} }
func (wrapped) Close() error              { return nil }

// TestServers runs several servers in one process, one of them for a second
// address of which is taken by the first.
func TestServers(t *testing.T) {
	t.Parallel()
	// An address at which nobody else takes the port meanwhile.
	own := []loop.Listener{{Address: "127.0.0.7:0"}, {Address: "127.0.0.7:0", TLS: serverTLS()}}
	first := newServer(t, loop.Config{Listeners: own}, func(srv *loop.Server) { srv.Handle("/", say("first")) })
	second := newServer(t, loop.Config{Loops: 3}, func(srv *loop.Server) { srv.Handle("/", say("second")) })
	p, q := first.open(overTLS), second.open(overTLS)
	p.fetch("/").want(t, "200", "first")
	q.fetch("/").want(t, "200", "second")
	_ = p.nc.Close()
	first.shutdown()
	q.fetch("/").want(t, "200", "second")
	second.open(cleartext).fetch("/").want(t, "200", "second")
	// The address is free again.
	again := newServer(t, loop.Config{Listeners: []loop.Listener{{Address: first.addr(cleartext)}}}, hello)
	again.open(cleartext).fetch("/").want(t, "200", "hello")
}

// TestRunTwice calls Run again, during and after the first.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, hello)
	p := ts.open(cleartext)
	p.fetch("/").want(t, "200", "hello") // Run has begun
	if err := ts.srv.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a second Run: %v", err)
	}
	p.fetch("/").want(t, "200", "hello")
	_ = p.nc.Close()
	ts.shutdown()
	if err := ts.srv.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("Run after the end: %v", err)
	}
}

// TestRunEndedContext runs a server whose time is over already.
func TestRunEndedContext(t *testing.T) {
	t.Parallel()
	log := zerolog.Nop()
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}, Logger: &log})
	if err != nil {
		t.Fatal(err)
	}
	addr := srv.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	if err := wait(t, "Run to return", ended); err != nil {
		t.Errorf("Run: %v", err)
	}
	wantRefused(t, addr)
}

// TestConfigIsCopied changes a config, and the tls.Config in it, after New.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	cfg := loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0", TLS: serverTLS()}}}
	ts := newServer(t, cfg, hello)
	if cfg.Listeners[0].Network != "" || cfg.Listeners[0].TLS.NextProtos != nil {
		t.Errorf("New has changed its argument: %+v", cfg.Listeners[0])
	}
	cfg.Listeners[0].TLS.Certificates = nil
	cfg.Listeners[0].TLS = nil
	nc := tls.Client(dialAddr(t, "tcp", ts.srv.Addrs()[0].String()), clientTLS("h2"))
	openOn(t, nc).fetch("/").want(t, "200", "hello")
}

// TestHTTP2Config sees that the limits of the protocol are those of the config.
func TestHTTP2Config(t *testing.T) {
	t.Parallel()
	cfg := loop.Config{}
	cfg.HTTP2.MaxConcurrentStreams = 7
	cfg.HTTP2.StreamWindow = 100_000
	cfg.HTTP2.MaxHeaderListSize = 5000
	handles := make(chan loop.Async, 10)
	ts := newServer(t, cfg, func(srv *loop.Server) { srv.Handle("/", func(x *loop.Exchange) { handles <- x.Async() }) })
	p := ts.open(cleartext)
	for _, tt := range []struct{ id, want uint32 }{{3, 7}, {4, 100_000}, {6, 5000}, {9, 1}} {
		for id, got := range p.settings {
			if uint32(id) == tt.id && got != tt.want {
				t.Errorf("SETTINGS %v is %d, want %d", id, got, tt.want)
			}
		}
	}
	if len(p.settings) < 4 {
		t.Errorf("SETTINGS: %v", p.settings)
	}
	for range 7 {
		p.get("/")
	}
	refused := p.answer(p.get("/"))
	refused.wantReset(t, 7) // REFUSED_STREAM; RFC 9113, Section 5.1.2
	p.cancel(1)
	p.ping()
	settle(t, wait(t, "the first request", handles)) // which frees its place
	again := p.get("/")
	p.ping()
	if p.streams[again].done() {
		t.Error("a stream is refused although one has ended")
	}
	long := strings.Repeat("x", 2000)
	ts.open(cleartext).fetch("/", "x-a", long, "x-b", long, "x-c", long).want(t, "431", "")
}

// TestListenerThatBlocks ends servers beside whom others have made the socket of the
// listener blocking, as (*net.TCPListener).File and Fd do: at once, and while
// Accept waits in the kernel.
func TestListenerThatBlocks(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before New", "while it runs", "and somebody has come"} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(network+" "+when, func(t *testing.T) {
				t.Parallel()
				addr := "127.0.0.1:0"
				if network == "unix" {
					addr = filepath.Join(t.TempDir(), "socket")
				}
				ln, err := net.Listen(network, addr)
				if err != nil {
					t.Fatal(err)
				}
				block := func() {
					f, err := ln.(interface{ File() (*os.File, error) }).File()
					if err != nil {
						t.Fatal(err)
					}
					f.Fd() // which is what makes both block
					t.Cleanup(func() { _ = f.Close() })
				}
				if when == "before New" {
					block()
				}
				ts := newServer(t, loop.Config{Listeners: []loop.Listener{{Listener: ln}}}, hello)
				visit := func() {
					p := openOn(t, dialAddr(t, network, ln.Addr().String()))
					p.fetch("/").want(t, "200", "hello")
					_ = p.nc.Close()
				}
				visit()
				if when != "before New" {
					block()
				}
				if when == "and somebody has come" {
					visit()
					visit()
				}
				ts.shutdown()
			})
		}
	}
}
