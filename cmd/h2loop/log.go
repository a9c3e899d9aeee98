package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// newLogger logs to f. In the format "auto" that is for people if f is a terminal,
// else in JSON.
func newLogger(f *os.File, level zerolog.Level, format string) zerolog.Logger {
	var w io.Writer = f
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if format == "text" || format == "auto" && err == nil {
		w = zerolog.ConsoleWriter{
			Out:        f,
			TimeFormat: time.TimeOnly,
			NoColor:    err != nil || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
		}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
