package main

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

// newLogger logs to f. In the format "auto" that is for people if f is a terminal,
// else in JSON. The level may be changed.
func newLogger(f *os.File, cfg config.Log) (zerolog.Logger, *levelSampler) {
	level := new(levelSampler)
	level.set(cfg.Level)
	w := unblocked(f, cfg.Format != "text")
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if cfg.Format == "text" || cfg.Format != "json" && err == nil {
		w = zerolog.ConsoleWriter{
			Out:        w,
			TimeFormat: time.TimeOnly,
			NoColor:    err != nil || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
		}
	}
	return zerolog.New(w).Level(zerolog.DebugLevel).With().Timestamp().Logger().Sample(level), level
}

// A levelSampler lets lines of its level, and above, pass. It may be changed while it is
// in use.
type levelSampler struct{ least atomic.Int32 }

func (s *levelSampler) set(level config.Level) { s.least.Store(int32(level.Zerolog())) }

// Sample reports whether a line of that level is logged.
func (s *levelSampler) Sample(level zerolog.Level) bool { return int32(level) >= s.least.Load() }
