package loop_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/loop"
)

// TestReconfigure changes the settings of a server that runs: connections that there are
// keep what they were told, new ones get what is new, and both have the new idle timeout.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	cfg := loop.Config{
		Listeners:   []loop.Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: serverTLS()}},
		Loops:       2,
		IdleTimeout: time.Hour,
		HTTP2:       h2.Config{MaxConcurrentStreams: 7},
	}
	ts := newServer(t, cfg, hello)
	streams := func(p *peer) uint32 { return p.settings[frames.SettingMaxConcurrentStreams] }
	old := ts.open(cleartext)
	old.fetch("/").want(t, "200", "hello")
	if n := streams(old); n != 7 {
		t.Fatalf("%d streams at once, want 7", n)
	}

	for _, bad := range []loop.Config{{}, {Listeners: cfg.Listeners, Loops: -1}, {Listeners: cfg.Listeners, IdleTimeout: -1}} {
		if fixed, err := ts.srv.Reconfigure(bad); err == nil || fixed != nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	cfg.HTTP2.MaxConcurrentStreams = 8
	cfg.Loops = 0
	cfg.MaxConnRequests = 3
	cfg.Listeners = slices.Clone(cfg.Listeners)
	cfg.Listeners[0].RedirectHTTPS = 4433
	if fixed, err := ts.srv.Reconfigure(cfg); err != nil || fixed != nil {
		t.Fatal(fixed, err)
	}
	eventually(t, "new connections have the new limit", func() bool {
		p := ts.open(overTLS)
		p.fetch("/").want(t, "200", "hello")
		n := streams(p)
		_ = p.nc.Close()
		return n == 8
	})
	if n := streams(old); n != 7 {
		t.Errorf("an old connection was told of %d streams", n)
	}
	const elsewhere = "This server is at https://example.com:4433/\n"
	old.fetch("/").want(t, "301", elsewhere)
	old.fetch("/").want(t, "301", elsewhere) // the third
	old.until("the end of the old connection", func() bool { return len(old.goAways) > 0 })
	nc := ts.dial(cleartext)
	send(nc, []byte("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), false)
	if got := string(readAll(t, nc)); !strings.Contains(got, "https://a:4433/") {
		t.Errorf("no redirect: %q", got)
	}

	idle := ts.open(overTLS)
	idle.fetch("/").want(t, "200", "hello")
	cfg.IdleTimeout = quick
	cfg.Loops, cfg.BlockingWorkers = 3, 5
	cfg.Listeners = cfg.Listeners[:1]
	fixed, err := ts.srv.Reconfigure(cfg)
	if err != nil || !slices.Equal(fixed, []string{"Loops", "BlockingWorkers", "Listeners"}) {
		t.Errorf("%q, %v", fixed, err)
	}
	idle.until("the end of the idle connection", func() bool { return len(idle.goAways) > 0 })
	if len(ts.srv.Addrs()) != 2 {
		t.Error("a listener is gone")
	}
}

// TestReconfigureHandshakes moves handshakes off the loops and back while they go on.
func TestReconfigureHandshakes(t *testing.T) {
	t.Parallel()
	cfg := loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0", TLS: serverTLS()}}}
	ts := newServer(t, cfg, hello)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			c := cfg
			c.Listeners = []loop.Listener{cfg.Listeners[0]}
			c.Listeners[0].Handshakes = []loop.Handshakes{loop.HandshakesOnLoop, loop.HandshakesOffLoop}[i%2]
			c.MaxHandshakes, c.HandshakeWorkers = 1+i%3, 1+i%2
			c.MaxConns, c.MaxConnsPerAddr = 100+i%3, 100+i%2
			c.ShedDelay, c.MemoryCeiling = time.Duration(1+i%2)*time.Minute, int64(1+i%2)<<40
			c.HTTP2.MaxUnreadTotal = 1<<20 + i%2
			if fixed, err := ts.srv.Reconfigure(c); err != nil || fixed != nil {
				t.Error(fixed, err)
			}
		}
	}()
	for range 100 {
		nc, err := tls.Dial("tcp", ts.srv.Addrs()[0].String(), clientTLS("h2"))
		if err != nil {
			t.Error(err)
			break
		}
		p := openOn(t, nc)
		p.fetch("/").want(t, "200", "hello")
		_ = nc.Close()
	}
	close(stop)
	<-ended
}
