package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/loop"
)

// TestOnErrorRefusals has the application answer what the server refuses, and leaves
// some of it to the server.
func TestOnErrorRefusals(t *testing.T) {
	t.Parallel()
	busy, enough := make(chan struct{}, 4), make(chan struct{})
	occupy := func() {
		busy <- struct{}{}
		<-enough
	}
	ts := newServer(t, loop.Config{HTTPHandlers: 1, BlockingWorkers: 1, BlockingQueue: 1}, func(srv *loop.Server) {
		srv.Handle("PUT /only/{x}", say("put"))
		srv.Handle("POST /body", func(x *loop.Exchange) {
			_ = x.ReadBody(10, func(x *loop.Exchange, _ []byte) { _ = x.Send(200, nil) })
		})
		srv.Handle("/silent", func(*loop.Exchange) {})
		srv.HandleHTTP("/http", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { occupy() }))
		srv.HandleBlocking("/blocking", func(_ context.Context, x *loop.Exchange) error {
			occupy()
			return x.Send(200, nil)
		})
		srv.HandleBlocking("/too-large", func(context.Context, *loop.Exchange) error { return loop.ErrBodyTooLarge })
		srv.HandleBlocking("/overloaded", func(context.Context, *loop.Exchange) error { return fmt.Errorf("so: %w", loop.ErrOverloaded) })
		srv.OnError(func(x *loop.Exchange, err error) {
			if x.Header("leave") == "" {
				_ = x.SendJSON(loop.ErrorStatus(err), map[string]string{"error": err.Error()})
			}
		})
	})
	ts.expectLog("callback returned without answering")
	c := versionClient(t, overH2)
	type answered struct {
		status             int
		body, allow, retry string
	}
	ask := func(method, path, body, leave string) (a answered, err error) {
		req, err := http.NewRequest(method, ts.url(cleartext, path), strings.NewReader(body))
		if err != nil {
			return a, err
		}
		req.Header.Set("Leave", leave)
		resp, err := c.Do(req)
		if err != nil {
			return a, err
		}
		defer resp.Body.Close()
		p, err := io.ReadAll(resp.Body)
		return answered{resp.StatusCode, string(p), resp.Header.Get("Allow"), resp.Header.Get("Retry-After")}, err
	}
	check := func(method, path, body, leave string, want answered) {
		t.Helper()
		if leave == "" && want.body == "" {
			t.Fatal("what is wanted?")
		}
		if got, err := ask(method, path, body, leave); err != nil || got != want {
			t.Errorf("%s %s: %+v, %v, want %+v", method, path, got, err, want)
		}
	}
	says := func(err error) string { return `{"error":"` + err.Error() + `"}` }
	check("GET", "/only/x", "", "", answered{405, says(loop.ErrMethodNotAllowed), "PUT", ""})
	check("GET", "/only/x", "", "x", answered{405, "Method Not Allowed\n", "PUT", ""})
	check("POST", "/body", "much too much", "", answered{413, says(loop.ErrBodyTooLarge), "", ""})
	check("POST", "/body", "much too much", "x", answered{413, "Content Too Large\n", "", ""})
	check("GET", "/silent", "", "", answered{500, says(loop.ErrUnanswered), "", ""})
	check("GET", "/too-large", "", "x", answered{413, "Content Too Large\n", "", ""})
	check("GET", "/overloaded", "", "x", answered{503, "Service Unavailable\n", "", ""})

	p := ts.open(cleartext)
	p.fetch("/%zz").want(t, "400", says(loop.ErrBadPath))
	p.fetch("/%zz", "leave", "x").want(t, "400", "Bad Request: the path has a malformed percent-encoding\n")

	results := make(chan error, 3)
	hold := func(path string) {
		go func() {
			got, err := ask("GET", path, "", "")
			if err == nil && got.status != 200 {
				err = errors.New(got.body)
			}
			results <- err
		}()
	}
	hold("/http")
	wait(t, "the http.Handler", busy)
	check("GET", "/http", "", "", answered{503, says(loop.ErrOverloaded), "", "1"})
	check("GET", "/http", "", "x", answered{503, "Service Unavailable\n", "", "1"})
	hold("/blocking")
	wait(t, "the worker", busy)
	// One waits in the queue: which is not known, but the others are refused.
	refused := make(chan answered, 3)
	for range 3 {
		go func() {
			got, err := ask("GET", "/blocking", "", "")
			if err != nil {
				t.Error(err)
			}
			refused <- got
		}()
	}
	for range 2 {
		if got, want := wait(t, "a refusal", refused), (answered{503, says(loop.ErrOverloaded), "", "1"}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	close(enough)
	for range 2 {
		if err := wait(t, "an answer", results); err != nil {
			t.Error(err)
		}
	}
	if got := wait(t, "the one that has waited", refused); got.status != 200 {
		t.Errorf("%+v", got)
	}
}
