package loop_test

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// echoRoutes serves upgrades that send back what they are sent, in upper case.
func echoRoutes(srv *loop.Server) {
	srv.HandleUpgrade("/loop/{name}", "shout", func(x *loop.Exchange) {
		_ = x.SetHeader("x-name", x.PathValue("name"))
		s, err := x.Switch()
		if err != nil {
			panic(err)
		}
		_ = x.OnBody(func(_ *loop.Exchange, p []byte, end bool) {
			if n, err := s.TryWrite([]byte(strings.ToUpper(string(p)))); n < len(p) || err != nil {
				panic("the stream is full")
			}
			if end {
				_ = s.Close()
			}
		})
	})
	named := func(next loop.Handler) loop.Handler {
		return func(x *loop.Exchange) {
			_ = x.SetHeader("x-name", x.PathValue("name"))
			next(x)
		}
	}
	srv.Group("/goroutine").HandleUpgrade("/{name}", "shout", func(x *loop.Exchange) {
		w, err := x.SwitchWriter()
		if err != nil {
			panic(err)
		}
		r, err := x.BodyReader()
		if err != nil {
			panic(err)
		}
		go func() {
			defer r.Close()
			var b [1000]byte
			for {
				n, err := r.Read(b[:])
				_, _ = w.Write([]byte(strings.ToUpper(string(b[:n]))))
				_ = w.Flush()
				if err != nil {
					_ = w.Close()
					return
				}
			}
		}()
	}, named)
	srv.HandleUpgrade("/refuses", "shout", func(x *loop.Exchange) { _ = x.SendString(403, "not you") })
	srv.Handle("GET /plain", func(x *loop.Exchange) {
		if _, err := x.Switch(); err != loop.ErrNoUpgrade { //nolint:errorlint // wrapped, it would be another
			_ = x.SendString(500, "")
			return
		}
		_ = x.SendString(200, "plain")
	})
}

// TestRFC9110Section7_8_Upgrade switches protocols over HTTP/1.1.
func TestRFC9110Section7_8_Upgrade(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, echoRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, kind := range []string{"loop", "goroutine"} {
			for _, early := range []bool{false, true} {
				ts.t = t
				nc := ts.dialHTTP1(tr)
				request := "GET /" + kind + "/you HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Shout\r\n\r\n"
				if early {
					request += "hello"
				}
				_, _ = io.WriteString(nc, request)
				br := bufio.NewReader(nc)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != 101 || !strings.EqualFold(resp.Header.Get("Upgrade"), "shout") || resp.Header.Get("X-Name") != "you" {
					t.Errorf("%d, %v", resp.StatusCode, resp.Header)
				}
				if !early {
					_, _ = io.WriteString(nc, "hello")
				}
				for _, word := range []string{"HELLO", ", WORLD", "!"} {
					b := make([]byte, len(word))
					if _, err := io.ReadFull(br, b); err != nil || string(b) != word {
						t.Fatalf("%q, %v, want %q", b, err, word)
					}
					switch word {
					case "HELLO":
						_, _ = io.WriteString(nc, ", world")
					case ", WORLD":
						_, _ = io.WriteString(nc, "!")
					}
				}
				_ = nc.Close()
			}
		}
		nc := ts.dialHTTP1(tr)
		br := bufio.NewReader(nc)
		upgrade := "Connection: Upgrade\r\nUpgrade: shout\r\n\r\n"
		_, _ = io.WriteString(nc, "GET /refuses HTTP/1.1\r\nHost: h\r\n"+upgrade)
		wantResponse(t, br, "GET", 403, "not you")
		_, _ = io.WriteString(nc, "GET /loop/you HTTP/1.1\r\nHost: h\r\n\r\n")
		wantResponse(t, br, "GET", 400, "Bad Request: this is for clients that switch to shout\n")
		_, _ = io.WriteString(nc, "GET /loop/you HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: whisper\r\n\r\n")
		wantResponse(t, br, "GET", 400, "Bad Request: this is for clients that switch to shout\n")
		_, _ = io.WriteString(nc, "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n")
		wantResponse(t, br, "GET", 200, "plain")
	})
}

// TestRFC9110Section7_8_UpgradeBehindBody has requests with a body ask to switch protocols:
// that is done once the body has ended. Where it is not waited for, there is an answer.
func TestRFC9110Section7_8_UpgradeBehindBody(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		suspend := func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) { _ = x.Suspend().Continue(next) }
		}
		shout := func(x *loop.Exchange) {
			s, err := x.Switch()
			if err != nil {
				if err := x.SendError(400, err.Error()); err != nil {
					panic(err)
				}
				return
			}
			err = x.OnBody(func(_ *loop.Exchange, p []byte, end bool) {
				if _, err := s.TryWrite([]byte(strings.ToUpper(string(p)))); err != nil || end {
					_ = s.Close()
				}
			})
			if err != nil {
				panic(err)
			}
		}
		srv.HandleUpgrade("/at-once", "shout", shout)
		srv.HandleUpgrade("/later", "shout", shout, suspend)
	})
	const early = "loop: the request does not ask to switch protocols before its body has ended: see AfterBody\n"
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, path := range []string{"/at-once", "/later"} {
			for _, tt := range []struct {
				fields, body string
				status       int
			}{
				{"Content-Length: 0", "", 101},
				{"Content-Length: 5", "hello", 101},
				{"Transfer-Encoding: chunked", "0\r\n\r\n", 101},
				{"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nA: b\r\n\r\n", 101},
				{"Content-Length: 100000", "", 400},
				{"Content-Length: 5\r\nExpect: 100-continue", "", 400},
			} {
				for _, byByte := range []bool{false, true} {
					ts.t = t
					nc := ts.dialHTTP1(tr)
					send(nc, []byte("GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: shout\r\n"+
						tt.fields+"\r\n\r\n"+tt.body), byByte)
					br := bufio.NewReader(nc)
					if tt.status != 101 {
						wantResponse(t, br, "GET", tt.status, early)
						_ = nc.Close()
						continue
					}
					resp, err := http.ReadResponse(br, nil)
					if err != nil {
						t.Fatalf("%s: %v", tt.fields, err)
					}
					if resp.StatusCode != 101 {
						t.Fatalf("%s: %d", tt.fields, resp.StatusCode)
					}
					_, _ = io.WriteString(nc, "world")
					b := make([]byte, 5)
					if _, err := io.ReadFull(br, b); err != nil || string(b) != "WORLD" {
						t.Fatalf("%s: %q, %v", tt.fields, b, err)
					}
					_ = nc.Close()
				}
			}
		}
	})
}

// TestRFC8441_ExtendedConnect does the same over HTTP/2, beside other requests.
func TestRFC8441_ExtendedConnect(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, echoRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, kind := range []string{"loop", "goroutine"} {
			ts.t = t
			p := ts.open(tr)
			p.ping()
			if p.settings[frames.SettingEnableConnectProtocol] != 1 {
				t.Fatal("extended CONNECT is not announced")
			}
			id := p.headers("CONNECT", "/"+kind+"/you", false, ":protocol", "shout")
			p.flush()
			a := p.streams[id]
			p.until("the header section", func() bool { return a.fields != nil })
			if a.status() != "200" || a.get("x-name") != "you" || a.get("content-length") != "" {
				t.Errorf("%v", a.fields)
			}
			p.data(id, []byte("hello"), false)
			p.until("the first word", func() bool { return string(a.body) == "HELLO" })
			p.fetch("/plain").want(t, "200", "plain")
			p.data(id, []byte(", world"), true)
			p.answer(id)
			if string(a.body) != "HELLO, WORLD" || a.reset {
				t.Errorf("%q, reset: %v", a.body, a.reset)
			}
			id = p.headers("CONNECT", "/refuses", false, ":protocol", "shout")
			p.flush()
			p.answer(id).want(t, "403", "not you")
		}
	})
	plain := newServer(t, loop.Config{}, hello)
	p := plain.open(cleartext)
	p.ping()
	if _, ok := p.settings[frames.SettingEnableConnectProtocol]; ok {
		t.Error("extended CONNECT is announced without such a route")
	}
}

// TestHandleUpgradePanics refuses a method in the pattern.
func TestHandleUpgradePanics(t *testing.T) {
	newServer(t, loop.Config{}, func(srv *loop.Server) {
		defer func() {
			if v := recover(); v == nil || !strings.Contains(v.(string), "GET /chat") {
				t.Errorf("panic: %v", v)
			}
		}()
		srv.HandleUpgrade("GET /chat", "websocket", func(*loop.Exchange) {})
	})
}

// TestUpgradeRoutes lists upgrades as such.
func TestUpgradeRoutes(t *testing.T) {
	newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Group("/api").HandleUpgrade("example.com/chat", "websocket", func(*loop.Exchange) {})
		want := []loop.Route{{Pattern: "GET example.com/api/chat", Kind: loop.KindUpgrade}, {Pattern: "CONNECT example.com/api/chat", Kind: loop.KindUpgrade}}
		if got := srv.Routes(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		wantPanic(t, "has no handler", func() { srv.HandleUpgrade("/nil", "websocket", nil) })
	})
}
