package main

import (
	"fmt"
	"runtime"

	"github.com/rs/zerolog"

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
	access, err := accesslog.Open(accesslog.Options{
		Path: to.File, Format: to.Format, Loops: loops, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	cfg.Hooks = access.Hooks(cfg.Hooks)
	return access, nil
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
