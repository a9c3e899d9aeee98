package looptest_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/leaktest"
	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// TestMain fails if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func routes(srv *loop.Server) {
	srv.Handle("GET /hello", func(x *loop.Exchange) { _ = x.SendString(200, x.Proto()+" "+x.Scheme()) })
	srv.Handle("GET /old", func(x *loop.Exchange) { _ = x.Redirect(301, "/hello") })
}

func fetch(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(body))
}

// TestServers asks servers of every kind, over every version.
func TestServers(t *testing.T) {
	for name, tt := range map[string]struct {
		ts     *looptest.Server
		scheme string
	}{
		"cleartext": {looptest.New(t, routes), "http"},
		"TLS":       {looptest.NewTLS(t, routes), "https"},
		"config":    {looptest.NewConfig(t, loop.Config{Loops: 1}, routes), "http"},
		"listener": {looptest.NewConfig(t, loop.Config{Listeners: []loop.Listener{
			{Address: "localhost:0", TLS: &tls.Config{}},
		}}, routes), "https"},
	} {
		t.Run(name, func(t *testing.T) {
			url := tt.ts.URL()
			if !strings.HasPrefix(url, tt.scheme+"://") || !strings.HasSuffix(url, tt.ts.Addr()) || len(tt.ts.Server().Routes()) != 2 {
				t.Errorf("url %s, address %s", url, tt.ts.Addr())
			}
			for range 2 {
				if got := fetch(t, tt.ts.Client(), url+"/hello"); got != "200 HTTP/2.0 "+tt.scheme {
					t.Error(got)
				}
				if got := fetch(t, tt.ts.Client1(), url+"/hello"); got != "200 HTTP/1.1 "+tt.scheme {
					t.Error(got)
				}
			}
			if got := fetch(t, tt.ts.Client(), url+"/old"); got != "301 " {
				t.Error(got)
			}
			tt.ts.Close()
			if _, err := tt.ts.Client().Get(url + "/hello"); err == nil {
				t.Error("answered after Close")
			}
		})
	}
}

// A recorder is a test that keeps its log to itself.
type recorder struct {
	testing.TB
	failed chan string
}

func (r recorder) Logf(string, ...any) {}

// TestFailInCallback ends callbacks as t.FailNow does, on the loop and off it: that
// costs the stream.
func TestFailInCallback(t *testing.T) {
	r := recorder{t, make(chan string, 2)}
	ts := looptest.NewConfig(r, loop.Config{}, func(srv *loop.Server) {
		routes(srv)
		srv.Handle("/loop", func(*loop.Exchange) { r.failed <- "loop"; runtime.Goexit() })
		srv.HandleBlocking("/blocking", func(context.Context, *loop.Exchange) error { r.failed <- "blocking"; runtime.Goexit(); return nil })
	})
	for _, path := range []string{"loop", "blocking"} {
		if _, err := ts.Client().Get(ts.URL() + "/" + path); err == nil {
			t.Errorf("/%s was answered", path)
		}
		if got := <-r.failed; got != path {
			t.Error(got)
		}
		if got := fetch(t, ts.Client(), ts.URL()+"/hello"); got != "200 HTTP/2.0 http" {
			t.Error(got)
		}
	}
}
