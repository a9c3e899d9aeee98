// Package accesslog writes a line for each request.
//
// A loop never waits for the file: it writes its lines to a buffer of its own, and one
// goroutine takes them from there, many at a time. What has no room is dropped and
// counted. Lines of one loop are in order; those of several mix within a tenth of a
// second.
package accesslog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// Options say where to log, and how.
type Options struct {
	Path   string // "-" for standard output
	Format Format
	Loops  int             // of the server
	Logger *zerolog.Logger // takes what goes wrong
}

// Bounds of what waits to be written.
const (
	maxBuffer = 4 << 20               // octets, for each loop
	urgent    = 64 << 10              // at which the writer is called at once
	pause     = 50 * time.Millisecond // for which it lets lines gather

	// reportPause is the least time between two log lines of the same trouble.
	reportPause = 10 * time.Second

	// closePatience is how long Close waits for a file that does not take octets: a
	// pipe that nobody reads.
	closePatience = 5 * time.Second
)

// A Log is an access log. Its methods may be called from any goroutine.
type Log struct {
	opts    Options
	buffers []buffer

	some, full chan struct{} // there are lines; there are many
	reopen     chan chan error
	quit       chan struct{}
	ended      chan struct{}
	closing    sync.Once

	written, dropped atomic.Uint64

	// These are the writer's.
	out       io.Writer
	file      *os.File // nil for standard output
	torn      bool     // the file ends within a line
	reported  time.Time
	lost      uint64 // of dropped, as of the last report
	lastError error  // since then
}

// A buffer has the lines of one loop.
type buffer struct {
	mu    sync.Mutex
	lines []byte
	spare []byte
	clock clock
	over  bool // nothing more is taken
	_     [64]byte
}

// Open opens the log, and creates its file if it is not there.
func Open(opts Options) (*Log, error) {
	l := &Log{
		opts: opts, buffers: make([]buffer, max(opts.Loops, 1)),
		some: make(chan struct{}, 1), full: make(chan struct{}, 1),
		reopen: make(chan chan error), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// open opens the file, which takes the place of the one that is open.
func (l *Log) open() error {
	if l.opts.Path == "-" {
		l.out = os.Stdout
		return nil
	}
	f, err := os.OpenFile(l.opts.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.out, l.file, l.torn = f, f, false
	return nil
}

// Hooks returns hooks that log requests, and call those of next, if it has any.
func (l *Log) Hooks(next loop.Hooks) loop.Hooks {
	done := next.RequestDone
	next.RequestDone = func(x *loop.Exchange, d loop.RequestInfo) {
		l.add(x, &d)
		if done != nil {
			done(x, d)
		}
	}
	return next
}

// add takes a line for x, or drops it.
func (l *Log) add(x *loop.Exchange, d *loop.RequestInfo) {
	b := &l.buffers[x.Loop()%len(l.buffers)]
	b.mu.Lock()
	before := len(b.lines)
	if b.over || before >= maxBuffer-maxLine {
		b.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	b.lines = l.opts.Format.append(b.lines, &b.clock, x, d)
	n := len(b.lines)
	b.mu.Unlock()
	switch {
	case before == 0:
		ring(l.some)
	case before < urgent && n >= urgent:
		ring(l.full)
	}
}

func ring(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Written and Dropped return how many lines were written, and how many were not:
// because they came faster than the file takes them, or because it does not.
func (l *Log) Written() uint64 { return l.written.Load() }
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Reopen writes what waits to the file that is open, and opens the path anew: what has
// moved that file away may go on with it when Reopen returns. If that fails, the file
// stays. With standard output it does nothing.
func (l *Log) Reopen() error {
	done := make(chan error, 1)
	select {
	case l.reopen <- done:
		return <-done
	case <-l.ended:
		return errors.New("access log: closed")
	}
}

// Close writes what waits, and closes the file. It is for when the loops have ended:
// requests that end later are dropped.
func (l *Log) Close() {
	l.closing.Do(func() { close(l.quit) })
	select {
	case <-l.ended:
	case <-time.After(closePatience):
		l.opts.Logger.Error().Msg("the access log is not taken: its last lines are lost")
	}
}

// write is the writer.
func (l *Log) write() {
	defer close(l.ended)
	for {
		select {
		case <-l.some:
			l.gather()
			l.flush(false)
		case done := <-l.reopen:
			l.flush(false)
			done <- l.open()
		case <-l.quit:
			l.flush(true)
			l.reported = time.Time{}
			l.report()
			if l.file != nil {
				_ = l.file.Close()
			}
			return
		}
		l.report()
	}
}

// gather waits until it is worth to write.
func (l *Log) gather() {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.full:
	case <-l.quit:
	}
}

// flush writes the lines of all loops. If they are the last, no more are taken.
func (l *Log) flush(last bool) {
	for i := range l.buffers {
		b := &l.buffers[i]
		b.mu.Lock()
		lines := b.lines
		b.lines, b.spare = b.spare[:0], nil
		b.over = last
		b.mu.Unlock()
		l.put(lines)
		b.mu.Lock()
		b.spare = lines
		b.mu.Unlock()
	}
}

var newline = []byte{'\n'}

// put writes lines, and counts those that were not taken. A line that was torn apart
// gets its end with the next that is taken.
func (l *Log) put(lines []byte) {
	if len(lines) == 0 {
		return
	}
	if l.torn {
		if _, err := l.out.Write(newline); err != nil {
			l.lose(lines, err)
			return
		}
		l.torn = false
	}
	n, err := l.out.Write(lines)
	n = max(n, 0)
	l.written.Add(uint64(bytes.Count(lines[:n], newline)))
	if err != nil {
		l.torn = n > 0 && lines[n-1] != '\n'
		l.lose(lines[n:], err)
	}
}

func (l *Log) lose(lines []byte, err error) {
	l.dropped.Add(uint64(bytes.Count(lines, newline)))
	l.lastError = err
}

// report logs that lines were dropped, once in a while.
func (l *Log) report() {
	dropped := l.dropped.Load()
	if dropped == l.lost || time.Since(l.reported) < reportPause {
		return
	}
	e := l.opts.Logger.Error().Uint64("lines", dropped-l.lost)
	if l.lastError != nil {
		e = e.Err(l.lastError)
	}
	e.Msg("lines of the access log were dropped")
	l.lost, l.lastError, l.reported = dropped, nil, time.Now()
}
