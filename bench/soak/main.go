// Soak keeps the h2loop binary under mixed load for as long as it is told to, checks
// every answer, and then looks for what has been left behind:
//
//	go run ./bench/soak -for 1h                 # as make soak FOR=1h
//	go run ./bench/soak -for 1m -out /tmp/soak
//
// The server runs with a file of configuration: two sites, with certificates and an
// access log, over TLS and in cleartext, and an admin listener. The load is bounded: see
// the rates in load.go. It makes requests of all sorts over HTTP/2 and HTTP/1.1, small and
// large, fast and slow; it resets, stalls and vanishes, and has bench/attack attack for
// moments. Meanwhile certificates and configuration are exchanged, and the log is rotated.
//
// An answer that is not right, and that the load has not spoiled itself, counts as a
// failure, and so does a leak: the exit status is 1. A refusal (503 with Retry-After)
// beside an attack is what limits are for: it is counted by itself, with the attack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

type settings struct {
	length  time.Duration // of the load that is measured
	warm    time.Duration // of the load before
	quiet   time.Duration // behind both
	rate    float64       // of the load, to that in load.go
	binary  string        // the server's program; "" for one to be built
	attacks bool
	tell    func(string) // what goes on
}

func main() {
	// The server is killed when the thread that has started it ends (Pdeathsig).
	// Locked to the main goroutine, it ends with the process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	s := settings{tell: func(text string) { fmt.Println(time.Now().UTC().Format(time.TimeOnly), text) }}
	flags.DurationVar(&s.length, "for", time.Hour, "how long the load goes on")
	flags.DurationVar(&s.warm, "warm", 0, "how long load goes on before what is measured (default a twentieth of -for, 2m at most)")
	flags.DurationVar(&s.quiet, "quiet", 0, "how long nothing goes on, before and behind (default a minute, and a tenth of -for at most)")
	flags.Float64Var(&s.rate, "rate", 1, "factor on the load")
	flags.BoolVar(&s.attacks, "attacks", true, "attack now and then")
	flags.StringVar(&s.binary, "server", "", "the server's program; it is built if none is given")
	out := flags.String("out", "", "directory for the results (default docs/soak)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if s.length < 2*time.Second || s.rate <= 0 || s.rate > 10 || s.warm < 0 || s.quiet < 0 {
		return fmt.Errorf("-for %v -rate %g -warm %v -quiet %v: it goes on for 2s and more, at rates up to 10", s.length, s.rate, s.warm, s.quiet)
	}
	if s.warm == 0 {
		s.warm = min(max(s.length/20, time.Second), 2*time.Minute)
	}
	if s.quiet == 0 {
		s.quiet = min(max(s.length/10, 2*time.Second), time.Minute)
	}
	if *out == "" {
		if _, err := os.Stat("go.mod"); err != nil {
			return errors.New("this is not the root of the module: -out says where the results go")
		}
		*out = filepath.Join("docs", "soak")
	}
	r, err := soak(ctx, s)
	if err != nil {
		return err
	}
	base, err := r.write(*out)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\nwritten: %s.{md,json,svg}\n", r.markdown(""), base)
	if faults := r.faults(); len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// soak makes a run. An error says that there was none.
func soak(ctx context.Context, s settings) (*report, error) {
	g, err := prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	defer g.remove()
	srv, err := g.start()
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	r := &report{Length: s.length, Warm: s.warm, Quiet: s.quiet, Rate: s.rate, Began: time.Now(), Commit: commit(ctx), Go: runtime.Version(), CPUs: runtime.NumCPU()}
	w := newWatch(srv, r)
	phase := func(name string, length time.Duration) error {
		s.tell(fmt.Sprintf("%s: %v", name, length))
		w.mark(name)
		l := newLoad(g, srv, s, length, w)
		return l.run(ctx, length)
	}
	quiet := func() error {
		w.mark("quiet")
		select {
		case <-time.After(s.quiet):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-srv.ended:
			return fmt.Errorf("the server has ended: %w: %s", srv.err, srv.log.String())
		}
	}
	w.start(sampleEvery(s.length))
	defer w.stop()
	if err := phase("warm-up", s.warm); err != nil {
		return nil, err
	}
	if err := quiet(); err != nil {
		return nil, err
	}
	if r.Before, err = srv.settled(); err != nil {
		return nil, err
	}
	if err := phase("load", s.length); err != nil {
		return nil, err
	}
	if err := quiet(); err != nil {
		return nil, err
	}
	return r, w.check(max(s.quiet, 20*time.Second), g.countLogs)
}

// sampleEvery returns how often the server is looked at: 600 times, and once a second at
// most; or more often in a run of a few seconds.
func sampleEvery(length time.Duration) time.Duration {
	if length < time.Minute {
		return 250 * time.Millisecond
	}
	return max(time.Second, length/600)
}
