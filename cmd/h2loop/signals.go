package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"
)

// signals are those that the process is sent. SIGHUP and SIGUSR1 are caught before it begins
// to serve, so that none that comes early ends it.
//
// Each kind has a channel of its own, because a signal for which there is no room is lost:
// of those that are for the same thing that is no harm, as one of them is waiting.
type signals struct {
	end    chan os.Signal // SIGTERM and SIGINT; there may be a second
	reload chan os.Signal // SIGHUP
	reopen chan os.Signal // SIGUSR1
	begun  chan struct{}  // closed when the process serves, or fails to
	done   chan struct{}
}

// catchSignals catches the signals. Until serve is called, SIGTERM and SIGINT end the process
// at once: there is nothing to drain.
func catchSignals(log zerolog.Logger) *signals {
	s := &signals{
		end: make(chan os.Signal, 2), reload: make(chan os.Signal, 1), reopen: make(chan os.Signal, 1),
		begun: make(chan struct{}), done: make(chan struct{}),
	}
	signal.Notify(s.end, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	signal.Notify(s.reopen, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGPIPE) // who reads a log may leave
	go func() {
		select {
		case sig := <-s.end:
			log.Info().Stringer("signal", sig).Msg("ended before it served")
			os.Exit(0)
		case <-s.begun:
		}
	}()
	return s
}

func (s *signals) stop() {
	s.begin()
	for _, c := range []chan os.Signal{s.end, s.reload, s.reopen} {
		signal.Stop(c)
	}
}

// begin is called by one goroutine only.
func (s *signals) begin() {
	select {
	case <-s.begun:
	default:
		close(s.begun)
	}
}

// serve returns a context that ends at the first SIGTERM or SIGINT; the second ends
// the process. Each SIGHUP calls reload, and each SIGUSR1 reopens the access log, if
// there is one.
func (s *signals) serve(log zerolog.Logger, reload func() error, access *accesslog.Log) (context.Context, func()) {
	s.begin()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case <-s.reload:
				if err := reload(); err != nil {
					log.Error().Msg("not reloaded: " + oneLine(err))
				}
			case <-s.reopen:
				go reopen(access, log) // a file may take its time, as a pipe does
			case <-s.done:
				return
			}
		}
	}()
	go func() { // by itself, for a reload may take its time
		for {
			select {
			case sig := <-s.end:
				if ctx.Err() == nil {
					log.Info().Stringer("signal", sig).Msg("draining: open requests may end; a second signal ends the process")
					cancel()
					continue
				}
				log.Warn().Stringer("signal", sig).Msg("ended at once")
				os.Exit(1)
			case <-s.done:
				return
			}
		}
	}()
	return ctx, func() {
		cancel()
		close(s.done)
	}
}
