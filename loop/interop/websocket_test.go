package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	xnet "golang.org/x/net/websocket"

	"github.com/h2loop/h2loop/loop"
)

// echoes are handlers that send each message back, with what is written for net/http.
func echoes(t *testing.T) map[string]http.Handler {
	upgrader := gorilla.Upgrader{}
	return map[string]http.Handler{
		"gorilla": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r, http.Header{"X-More": {"1"}})
			if err != nil {
				t.Errorf("gorilla: %v", err)
				return
			}
			go func() { // the handler returns
				defer c.Close()
				for {
					kind, p, err := c.ReadMessage()
					if err != nil {
						return
					}
					if err := c.WriteMessage(kind, p); err != nil {
						t.Errorf("gorilla: %v", err)
						return
					}
				}
			}()
		}),
		"coder": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: coder.CompressionContextTakeover})
			if err != nil {
				t.Errorf("coder: %v", err)
				return
			}
			defer func() { _ = c.CloseNow() }()
			c.SetReadLimit(-1)
			for {
				kind, p, err := c.Read(r.Context())
				if err != nil {
					return
				}
				if err := c.Write(r.Context(), kind, p); err != nil {
					t.Errorf("coder: %v", err)
					return
				}
			}
		}),
		"x.net": xnet.Handler(func(c *xnet.Conn) { _, _ = io.Copy(c, c) }),
	}
}

// TestWebSocket has each library of the server talk to a client of another, directly
// and through a reverse proxy.
func TestWebSocket(t *testing.T) {
	all := echoes(t)
	backend, _ := serve(t, func(srv *loop.Server) {
		for name, h := range all {
			srv.HandleHTTP("/"+name, h)
		}
	})
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
	rt := &http.Transport{}
	t.Cleanup(rt.CloseIdleConnections)
	proxy.Transport = rt
	cleartext, overTLS := serve(t, func(srv *loop.Server) {
		for name, h := range all {
			srv.HandleHTTP("/"+name, h)
		}
		srv.HandleHTTP("/proxied/", http.StripPrefix("/proxied", proxy))
	})
	trust := &tls.Config{RootCAs: identity().roots}
	for name := range all {
		for _, base := range []string{"ws://" + cleartext, "wss://" + overTLS} {
			for _, path := range []string{"/", "/proxied/"} {
				url := base + path + name
				t.Run(strings.SplitN(base, ":", 2)[0]+path+name, func(t *testing.T) {
					talkGorilla(t, url, trust)
					talkCoder(t, url, trust)
				})
			}
		}
	}
}

// messages are what is sent, and wanted back.
var messages = [][]byte{
	[]byte("hello"), {}, bytes.Repeat([]byte("some more "), 20_000), bytes.Repeat([]byte("much "), 1<<18),
}

// origin says that a page of the same server asks, which x.net wants to know.
func origin(url string) http.Header {
	return http.Header{"Origin": {strings.Replace(url, "ws", "http", 1)}}
}

func talkGorilla(t *testing.T, url string, trust *tls.Config) {
	t.Helper()
	d := gorilla.Dialer{TLSClientConfig: trust}
	c, resp, err := d.Dial(url, origin(url))
	if err != nil {
		t.Fatalf("%v: %v", err, resp)
	}
	defer c.Close()
	for _, m := range messages {
		if len(m) == 0 && strings.HasSuffix(url, "x.net") {
			continue // its io.Copy sends nothing for nothing
		}
		sent := make(chan error, 1)
		go func() { sent <- c.WriteMessage(gorilla.TextMessage, m) }()
		var got []byte
		for first := true; first || len(got) < len(m); first = false { // x.net may cut them
			_, p, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		if err := <-sent; err != nil || !bytes.Equal(got, m) {
			t.Fatalf("%d octets are %d: %v", len(m), len(got), err)
		}
	}
	if strings.HasSuffix(url, "x.net") {
		return // it does not answer the end
	}
	if err := c.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "done")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); !gorilla.IsCloseError(err, gorilla.CloseNormalClosure) {
		t.Errorf("the end: %v", err)
	}
}

func talkCoder(t *testing.T, url string, trust *tls.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rt := &http.Transport{TLSClientConfig: trust}
	defer rt.CloseIdleConnections()
	c, _, err := coder.Dial(ctx, url, &coder.DialOptions{
		HTTPClient: &http.Client{Transport: rt}, HTTPHeader: origin(url), CompressionMode: coder.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(-1)
	for _, m := range messages {
		if len(m) == 0 {
			continue
		}
		sent := make(chan error, 1)
		go func() { sent <- c.Write(ctx, coder.MessageText, m) }()
		var got []byte
		for len(got) < len(m) {
			_, p, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		if err := <-sent; err != nil || !bytes.Equal(got, m) {
			t.Fatalf("%d octets are %d: %v", len(m), len(got), err)
		}
	}
	if strings.HasSuffix(url, "x.net") {
		return
	}
	if err := c.Close(coder.StatusNormalClosure, "done"); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// TestWebSocketRefused is asked over HTTP/2, where there is no Hijack, and by clients
// that do not ask for it.
func TestWebSocketRefused(t *testing.T) {
	cleartext, _ := serve(t, func(srv *loop.Server) {
		srv.HandleHTTP("/gorilla", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u := gorilla.Upgrader{}
			if c, err := u.Upgrade(w, r, nil); err == nil {
				_ = c.Close()
			}
		}))
		srv.HandleHTTP("/coder", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := coder.Accept(w, r, nil); err == nil {
				_ = c.CloseNow()
			}
		}))
	})
	for name, c := range clients(t) {
		for path, want := range map[string]int{"/gorilla": http.StatusBadRequest, "/coder": http.StatusUpgradeRequired} {
			if status, _, _ := get(t, c, "http://"+cleartext+path); status != want {
				t.Errorf("%s %s: %d, want %d", name, path, status, want)
			}
		}
	}
}
