// Attack attacks a server with all that is known to hurt servers of HTTP, one kind
// at a time, and says what it did to a good client beside it:
//
//	go run ./bench/attack                      # all, some ten minutes
//	go run ./bench/attack -run 'reset|ping'    # those whose names match
//	go run ./bench/attack -list                # what there is
//
// The server is cmd/h2loop as it is by default, on one core; the attacker, in a
// process of its own, and the good client share another. The good client's quiet
// figures are those beside an attacker that spins and sends nothing.
//
// The load goes to 127.0.0.0/8, and is bounded in count and time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/bench/affinity"
)

type settings struct {
	match  *regexp.Regexp
	binary string
	length time.Duration
	server targets
	out    string
	list   bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("attack", flag.ExitOnError)
	pattern := flags.String("run", "", "only attacks whose names match this expression")
	var s settings
	flags.StringVar(&s.binary, "server", "", "the server's program; it is built if none is given")
	flags.DurationVar(&s.length, "for", 5*time.Second, "how long each attack goes on")
	flags.StringVar(&s.out, "out", "", "also write the table, in markdown, to this file")
	flags.BoolVar(&s.list, "list", false, "list the attacks")
	as := flags.String("as", "", "be the attacker of that name: what attack itself starts")
	flags.StringVar(&s.server.tls, "tls", "", "with -as: the address over TLS")
	flags.StringVar(&s.server.cleartext, "cleartext", "", "with -as: the address in cleartext")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if s.match, err = regexp.Compile(*pattern); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if s.length <= 0 || s.length > time.Minute {
		return fmt.Errorf("-for %v: between 0 and 1m is bounded load", s.length)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch {
	case s.list:
		for _, a := range attacks {
			fmt.Printf("%-24s %s\n", a.name, a.what)
		}
		return nil
	case *as != "":
		return beAttacker(ctx, *as, s)
	}
	return attackAll(ctx, s)
}

// attackAll makes each attack on a server of its own.
func attackAll(ctx context.Context, s settings) error {
	ground, err := prepare(ctx, s.binary)
	if err != nil {
		return err
	}
	defer ground.remove()
	if err := affinity.Pin(clientCore); err != nil && !errors.Is(err, unix.EINVAL) { // there is no such core
		return err
	}
	var rows []row
	for _, a := range attacks {
		if !s.match.MatchString(a.name) || ctx.Err() != nil {
			continue
		}
		r, err := ground.attack(ctx, a, s.length, settles)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		rows = append(rows, r)
		fmt.Println(r)
	}
	if len(rows) == 0 {
		return errors.New("no attack has such a name (-list tells them)")
	}
	if s.out != "" {
		if err := os.WriteFile(s.out, []byte(table(rows)), 0o644); err != nil {
			return err
		}
	}
	bad := slices.DeleteFunc(rows, func(r row) bool { return len(r.faults()) == 0 })
	if len(bad) > 0 {
		return fmt.Errorf("%d of the attacks hurt", len(bad))
	}
	return nil
}

// attack makes one attack, with a good client beside it, and looks at what is left
// once all has settled.
func (g *ground) attack(ctx context.Context, a *attack, length, settles time.Duration) (row, error) {
	r := row{attack: a}
	srv, err := g.start(ctx)
	if err != nil {
		return r, err
	}
	defer srv.stop()
	good := newGoodClient(srv.targets)
	defer good.close()
	if err := good.warm(ctx); err != nil {
		return r, fmt.Errorf("the good client cannot reach the server: %w", err)
	}
	spin, err := attacker(ctx, "spin", srv.targets, length)
	if err != nil {
		return r, err
	}
	r.quiet = good.during(ctx, func() { _, err = spin.wait() })
	if err != nil {
		return r, err
	}
	if r.before, err = srv.look(); err != nil {
		return r, err
	}
	watch := srv.watch()
	enemy, err := attacker(ctx, a.name, srv.targets, length)
	if err != nil {
		return r, err
	}
	r.beside = good.during(ctx, func() { r.did, err = enemy.wait() })
	r.peak = watch.stop()
	if err != nil {
		return r, err
	}
	// What the attack has left behind.
	select {
	case <-time.After(settles):
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
	if r.after, err = srv.look(); err != nil {
		return r, fmt.Errorf("the server has not survived: %w", err)
	}
	r.length = length
	return r, good.warm(ctx)
}

// settles is how long after an attack what it took must have been given back.
const settles = 2 * time.Second

// An enemyProcess is an attacker that runs.
type enemyProcess struct {
	cmd    *exec.Cmd
	out    strings.Builder
	errors strings.Builder
}

// attacker starts this program as the attacker of that name.
func attacker(ctx context.Context, name string, t targets, length time.Duration) (*enemyProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// It inherits the core of this process.
	p := &enemyProcess{cmd: exec.CommandContext(ctx, self, "-as", name, "-tls", t.tls, "-cleartext", t.cleartext, "-for", length.String())}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errors
	return p, p.cmd.Start()
}

// wait returns what came of it.
func (p *enemyProcess) wait() (report, error) {
	var r report
	if err := p.cmd.Wait(); err != nil {
		return r, fmt.Errorf("attacker: %w: %s", err, p.errors.String())
	}
	return r, json.Unmarshal([]byte(p.out.String()), &r)
}
