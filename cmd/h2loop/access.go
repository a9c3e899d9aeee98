package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/loop"
)

// openAccessLog opens the access log, and has the server that cfg describes write to
// it; nil if there is none.
func openAccessLog(to config.AccessLog, cfg *loop.Config, log *zerolog.Logger) (*accesslog.Log, error) {
	if to.File == "" {
		return nil, nil
	}
	loops := cfg.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	stop := tellOfPipe(to.File, log)
	defer stop()
	access, err := accesslog.Open(accesslog.Options{
		Path: to.File, Format: to.Format, Loops: loops, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	cfg.Hooks = access.Hooks(cfg.Hooks)
	return access, nil
}

// tellOfPipe says so if the file of the access log is a pipe that nobody reads, for then
// it is waited for somebody. stop is to be called once the file is open.
func tellOfPipe(file string, log *zerolog.Logger) (stop func()) {
	stop = func() {}
	if info, err := os.Stat(file); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return stop
	}
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENXIO):
		log.Warn().Str("file", file).Msg("the access log is a pipe that nobody reads: waiting until somebody does")
	case err == nil: // who reads would see the end of the log if it were closed now
		stop = func() { _ = unix.Close(fd) }
	}
	return stop
}

// reopen opens the file of the access log anew.
func reopen(access *accesslog.Log, log zerolog.Logger) {
	if access == nil {
		log.Warn().Msg("there is no access log to reopen")
		return
	}
	if err := access.Reopen(); err != nil {
		log.Error().Msg("the access log goes on with the old file: " + plain(err))
		return
	}
	log.Info().Msg("access log reopened")
}
