package loop_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// TestShutdown ends a server that is answering: the answer comes whole, and then
// Shutdown and Run return.
func TestShutdown(t *testing.T) {
	begun := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{DrainTimeout: time.Nanosecond}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { begun <- x.Async() })
	})
	p := ts.open(cleartext)
	id := p.get("/")
	async := wait(t, "the request", begun)
	ended := make(chan error, 1)
	// Whatever DrainTimeout is.
	go func() { ended <- ts.srv.Shutdown(context.Background()) }()
	p.until("the warning", p.isDraining)
	if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "late") }); err != nil {
		t.Fatal(err)
	}
	p.answer(id).want(t, "200", "late")
	_ = p.nc.Close()
	if err := wait(t, "Shutdown", ended); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := ts.srv.Shutdown(context.Background()); err != nil {
		t.Errorf("the second Shutdown: %v", err)
	}
}

// TestShutdownBound cuts off what does not end in time.
func TestShutdownBound(t *testing.T) {
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { x.Async() })
	})
	p := ts.open(cleartext)
	p.get("/")
	p.ping()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	p.untilClosed()
	if n := ts.srv.Stats().Limits["drain"]; n != 1 {
		t.Errorf("%d connections counted as cut off, want 1", n)
	}
}

// TestShutdownBeforeRun ends a server that has not begun.
func TestShutdownBeforeRun(t *testing.T) {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if err := srv.Run(context.Background()); err == nil {
		t.Error("Run after Shutdown: no error")
	}
}
