package looptest_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// A server for a test, which is asked over both versions of HTTP.
func ExampleNew() {
	t := new(standIn) // in a test, that is its *testing.T
	defer t.end()

	ts := looptest.New(t, func(srv *loop.Server) {
		srv.Handle("GET /hello", func(x *loop.Exchange) { _ = x.SendString(200, "hello by "+x.Proto()) })
	})
	resp, err := ts.Client().Get(ts.URL() + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))

	resp, err = ts.Client1().Get(ts.URL() + "/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ = io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output:
	// 200 hello by HTTP/2.0
	// 200 hello by HTTP/1.1
}

// A standIn is as much of a test as an example needs.
type standIn struct {
	testing.TB
	cleanups []func()
}

func (*standIn) Helper()             {}
func (*standIn) Logf(string, ...any) {}
func (*standIn) Fatal(args ...any)   { panic(fmt.Sprint(args...)) }
func (*standIn) Errorf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
func (t *standIn) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *standIn) end() {
	for _, f := range t.cleanups {
		f()
	}
}
