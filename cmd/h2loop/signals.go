package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"
)

// signals are those that the process is sent. They are caught before it begins to
// serve, so that none that comes early ends it.
type signals struct {
	c    chan os.Signal
	done chan struct{}
}

func catchSignals() *signals {
	s := &signals{c: make(chan os.Signal, 4), done: make(chan struct{})}
	signal.Notify(s.c, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGPIPE) // who reads a log may leave
	return s
}

func (s *signals) stop() { signal.Stop(s.c) }

// serve returns a context that ends at the first SIGTERM or SIGINT; the second ends
// the process. Each SIGHUP calls reload, and each SIGUSR1 reopens the access log, if
// there is one.
func (s *signals) serve(log zerolog.Logger, reload func() error, access *accesslog.Log) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			var sig os.Signal
			select {
			case sig = <-s.c:
			case <-s.done:
				return
			}
			switch {
			case sig == syscall.SIGHUP:
				if err := reload(); err != nil {
					log.Error().Msg("not reloaded: " + oneLine(err))
				}
			case sig == syscall.SIGUSR1:
				go reopen(access, log) // a file may take its time, as a pipe does
			case ctx.Err() == nil:
				log.Info().Stringer("signal", sig).Msg("draining: open requests may end; a second signal ends the process")
				cancel()
			default:
				log.Warn().Stringer("signal", sig).Msg("ended at once")
				os.Exit(1)
			}
		}
	}()
	return ctx, func() {
		cancel()
		close(s.done)
	}
}
