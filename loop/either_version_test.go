package loop_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// forEachVersion runs f once for each version of HTTP, with a client that speaks
// that alone.
func (ts *testServer) forEachVersion(t *testing.T, f func(t *testing.T, c *http.Client)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version[:6], func(t *testing.T) {
			c := ts.client()
			if version == "HTTP/1.1" {
				rt := &http.Transport{TLSClientConfig: clientTLS("http/1.1"), DisableCompression: true}
				t.Cleanup(rt.CloseIdleConnections)
				c.Transport = rt
			}
			f(t, c)
		})
	}
}

// TestVerbsOfEitherVersion uses what streams, in both directions, over each version
// of HTTP.
func TestVerbsOfEitherVersion(t *testing.T) {
	t.Parallel()
	body := pattern(3 << 20)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /stream", func(x *loop.Exchange) {
			s, err := x.Stream(200, -1)
			if err != nil {
				t.Error(err)
			}
			_ = x.AddTrailer("x-sum", "1")
			pour(t, s, body)
		})
		srv.Handle("GET /trailers", func(x *loop.Exchange) {
			_ = x.AddTrailer("x-sum", "1")
			_ = x.SendString(200, x.Proto())
		})
		srv.Handle("GET /hints", func(x *loop.Exchange) {
			_ = x.Inform(103, loop.Field{Name: "link", Value: "</a.css>"})
			_ = x.SendString(200, "answer")
		})
		srv.Handle("POST /pause", func(x *loop.Exchange) {
			var got []byte
			async := x.Async()
			_ = x.OnBody(func(x *loop.Exchange, p []byte, end bool) {
				got = append(got, p...)
				if end {
					_ = x.Send(200, got)
					return
				}
				_ = x.PauseBody()
				go func() {
					_ = async.Do(func(x *loop.Exchange) {
						if x != nil {
							_ = x.ResumeBody()
						}
					})
				}()
			})
		})
	})
	ts.forEachVersion(t, func(t *testing.T, c *http.Client) {
		ts.t = t
		r := ts.do(c, "GET", ts.url(cleartext, "/stream"), nil)
		wantSame(t, r.body, body)
		if r.Trailer.Get("x-sum") != "1" {
			t.Errorf("trailers %v", r.Trailer)
		}
		r = ts.do(c, "GET", ts.url(cleartext, "/trailers"), nil)
		r.want(t, 200, r.Proto)
		if r.Trailer.Get("x-sum") != "1" {
			t.Errorf("trailers %v", r.Trailer)
		}
		hints := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if hints++; code != 103 || h.Get("link") != "</a.css>" {
				t.Errorf("%d %v", code, h)
			}
			return nil
		}}
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", ts.url(cleartext, "/hints"), nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if hints != 1 {
			t.Errorf("%d interim responses", hints)
		}
		for range 3 {
			r = ts.do(c, "POST", ts.url(cleartext, "/pause"), io.MultiReader(bytes.NewReader(body)))
			wantSame(t, r.body, body)
		}
	})
}
