package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/systemd"
	"github.com/h2loop/h2loop/loop"
)

// A manager is the service manager that has started the process, if there is one.
type manager struct {
	*systemd.Notifier
	done chan struct{}
}

// newManager finds the service manager. One that cannot be reached is no reason not to
// serve.
func newManager(log *zerolog.Logger) *manager {
	n, err := systemd.NewNotifier()
	if err != nil {
		log.Warn().Err(err).Msg("the service manager is not told")
	}
	return &manager{n, make(chan struct{})}
}

// watch tells the service manager once srv serves, as long as every loop turns, and when
// ctx ends.
func (m *manager) watch(ctx context.Context, srv *loop.Server) {
	if m.Notifier == nil {
		return
	}
	context.AfterFunc(ctx, m.Stopping)
	go func() {
		if m.waitUntilServing(ctx, srv) {
			m.Ready()
			m.Watchdog(m.done, func(within time.Duration) bool { return len(srv.Stuck(within)) == 0 })
		}
	}()
}

// waitUntilServing reports false if ctx or the server has ended before.
func (m *manager) waitUntilServing(ctx context.Context, srv *loop.Server) bool {
	clock := time.NewTicker(5 * time.Millisecond)
	defer clock.Stop()
	for srv.Stats().Loops == 0 {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return false
		case <-m.done:
			return false
		}
	}
	return true
}

// reloading wraps reload, so that the service manager knows of it.
func (m *manager) reloading(reload func() error) func() error {
	return func() error {
		m.Reloading()
		defer m.Ready()
		return reload()
	}
}

func (m *manager) close() {
	close(m.done)
	m.Close()
}
