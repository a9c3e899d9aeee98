package loop

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/rs/zerolog"
)

func defaultLogger() zerolog.Logger {
	return zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
}

// A gnetLog sends gnet's log lines to zerolog. What gnet calls information is
// of interest to its developers only.
type gnetLog struct{ log zerolog.Logger }

var _ logging.Logger = gnetLog{}

func (g gnetLog) Debugf(format string, args ...any) { g.log.Debug().Msgf(format, args...) }
func (g gnetLog) Infof(format string, args ...any)  { g.log.Debug().Msgf(format, args...) }
func (g gnetLog) Errorf(format string, args ...any) { g.log.Error().Msgf(format, args...) }

func (g gnetLog) Warnf(format string, args ...any) {
	if strings.HasPrefix(format, "received event") {
		// An event of a descriptor that was closed in the same round.
		g.log.Debug().Msgf(format, args...)
		return
	}
	g.log.Warn().Msgf(format, args...)
}

// Fatalf logs as an error: a library does not end its program.
func (g gnetLog) Fatalf(format string, args ...any) { g.log.Error().Msgf(format, args...) }

// A logPause keeps what happens often from filling the log.
type logPause struct {
	mu   sync.Mutex
	at   time.Duration // of the last line; 0 for none
	more uint64        // not logged since
}

// isDue reports whether to log, which is so once in least, and how often it was not
// since the last time.
func (p *logPause) isDue(now, least time.Duration) (more uint64, due bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at > 0 && now < p.at+least {
		p.more++
		return 0, false
	}
	more, p.more, p.at = p.more, 0, max(now, 1)
	return more, true
}
