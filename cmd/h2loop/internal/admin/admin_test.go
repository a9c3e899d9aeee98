package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

func listen(t *testing.T, addr string) *Server {
	t.Helper()
	log := zerolog.Nop()
	s, err := Listen(Options{Addr: addr, Registry: prometheus.NewRegistry(), Logger: &log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// get asks s for path as a client does that calls it host.
func get(s *Server, host, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://"+host+path, nil)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w
}

// TestNames lets names be used on a public address, but not for what is below /debug.
func TestNames(t *testing.T) {
	s := listen(t, ":0")
	if s.IsPublic() {
		t.Fatalf("%v is public", s.Addr())
	}
	for _, tt := range []struct {
		public     bool
		host, path string
		want       int
	}{
		{false, "127.0.0.1:80", "/metrics", 200},
		{false, "host.example", "/metrics", 421},
		{true, "host.example", "/metrics", 200},
		{true, "host.example", "/healthz", 200},
		{true, "host.example", "/debug/pprof/", 421},
		{true, "192.0.2.1:9090", "/debug/pprof/", 200},
		{true, "[2001:db8::1]:9090", "/debug/pprof/", 200},
		{true, "127.0.0.1.evil.example", "/debug/pprof/", 421},
	} {
		s.public = tt.public
		if w := get(s, tt.host, tt.path); w.Code != tt.want {
			t.Errorf("%+v: %d", tt, w.Code)
		}
	}
}

// TestDocumentLists has lists that are empty in the JSON, so that jq can go through them.
func TestDocumentLists(t *testing.T) {
	b, err := json.Marshal(document(&page{Conns: []loop.ConnState{{}}}))
	if err != nil || !strings.Contains(string(b), `"streams":[]`) {
		t.Errorf("%v: %s has no streams", err, b)
	}
}

// TestHealth is healthy while every loop turns, and ready while connections are welcome.
func TestHealth(t *testing.T) {
	s := listen(t, ":0")
	want := func(path string, status int) {
		t.Helper()
		// The loops of a machine that stands still do not turn in time.
		w := get(s, "localhost", path)
		for end := time.Now().Add(time.Minute); w.Code != status && status == 200 && time.Now().Before(end); {
			w = get(s, "localhost", path)
		}
		if w.Code != status {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, status)
		}
	}
	want("/healthz", 200)
	want("/readyz", 503) // there is no server
	want("/debug/connections", 200)
	free, entered := make(chan struct{}), make(chan struct{})
	ts := looptest.NewConfig(t, loop.Config{Loops: 1, SlowCallback: -1}, func(srv *loop.Server) {
		s.Watch(srv)
		srv.Handle("/block", func(x *loop.Exchange) {
			close(entered)
			<-free
			_ = x.SendString(200, "")
		})
	})
	for end := time.Now().Add(time.Minute); get(s, "localhost", "/readyz").Code != 200; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("is never ready")
		}
	}
	want("/healthz", 200)
	answered := make(chan error, 1)
	go func() {
		resp, err := ts.Client().Get(ts.URL() + "/block")
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-entered
	want("/healthz", 503)
	want("/debug/connections", 200) // and names the loop
	close(free)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	want("/healthz", 200)
	s.Leave()
	want("/readyz", 503)
}
