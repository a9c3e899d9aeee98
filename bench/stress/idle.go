package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// idle makes connections that ask for one thing and then stay, and tells what they
// cost the server. With -sites it tells of some of them which function has
// allocated what they hold.
func idle(args []string) error {
	flags := flag.NewFlagSet("idle", flag.ExitOnError)
	conns := flags.Int("conns", 10_000, "connections of each kind")
	kind := flags.String("kind", "all", "h2c, tls (1.3) or all")
	sites := flags.Int("sites", 2000, "connections in the run that records every allocation; 0 for no such run")
	rest := flags.Duration("after", 6*time.Second, "how long they have been idle; what they do not need is given back within 5 s")
	least := flags.Int64("least", 8, "octets for each connection that make an allocating function worth a line")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *conns < 1 {
		return errors.New("-conns is at least 1")
	}
	if err := needDescriptors(max(*conns, *sites)); err != nil {
		return err
	}
	for _, k := range []string{"h2c", "tls"} {
		if *kind != "all" && *kind != k {
			continue
		}
		if err := idleRun(k, *conns, *rest, false, 0); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		if *sites == 0 {
			continue
		}
		if err := idleRun(k, *sites, *rest, true, *least); err != nil {
			return fmt.Errorf("%s, with sites: %w", k, err)
		}
	}
	return nil
}

func idleRun(kind string, conns int, rest time.Duration, sites bool, least int64) (err error) {
	srv, err := start("", nil, "-loops=1", "-tls=ecdsa", fmt.Sprint("-sites=", sites))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	by, err := dial(srv.addr, 1<<20, 0)
	if err != nil {
		return err
	}
	defer by.close()
	d := dialer{addr: srv.addr, window: 1 << 20}
	if kind == "tls" {
		d.addr, d.tls = srv.addrTLS, clientTLS()
	}
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	visitAndStay := func() error {
		c, err := d.dial()
		if err != nil {
			return err
		}
		fds = append(fds, c.fd) // the rest of c goes
		_, err = c.ask("/hello", "user-agent", "stress", "accept", "*/*")
		return err
	}
	// What the first ones make the loop and its buffers grow by is not theirs.
	for range 100 {
		if err := visitAndStay(); err != nil {
			return err
		}
	}
	before, err := srv.footprint(by)
	if err != nil {
		return err
	}
	var held []site
	if sites {
		if held, err = by.sites(); err != nil {
			return err
		}
	}
	for range conns {
		if err := visitAndStay(); err != nil {
			return err
		}
	}
	time.Sleep(rest)
	after, err := srv.footprint(by)
	if err != nil {
		return err
	}
	m, err := by.pairs("/figures")
	if err != nil {
		return err
	}
	if want := int64(len(fds) + 1); m["connections"] != want {
		return fmt.Errorf("%d connections are open, want %d", m["connections"], want)
	}
	if !sites {
		fmt.Printf("== %d connections, %s, idle for %v after a request each\n%s\n", conns, kind, rest, after.since(before, conns))
		return nil
	}
	now, err := by.sites()
	if err != nil {
		return err
	}
	fmt.Printf("-- where it is allocated, %s, %d connections: octets each, objects each\n", kind, conns)
	printSites(now, held, conns, least)
	return nil
}

// A site is what a function has allocated that is in use.
type site struct {
	octets, objects int64
	name            string
}

// sites asks for what [allocationSites] says.
func (c *client) sites() (all []site, err error) {
	b, err := c.ask("/sites")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		var s site
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(f) == 3 {
			s.name = f[2]
			s.octets, err = strconv.ParseInt(f[0], 10, 64)
			if err == nil {
				s.objects, err = strconv.ParseInt(f[1], 10, 64)
			}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// printSites prints what now has above before, for each of n connections.
func printSites(now, before []site, n int, least int64) {
	was := map[string]site{}
	for _, s := range before {
		was[s.name] = s
	}
	var total, rest int64
	for i := range now {
		s := &now[i]
		s.octets -= was[s.name].octets
		s.objects -= was[s.name].objects
		total += s.octets
	}
	slices.SortFunc(now, func(a, b site) int { return cmp.Compare(b.octets, a.octets) })
	for _, s := range now {
		if s.octets < least*int64(n) {
			rest += s.octets
			continue
		}
		fmt.Printf("%9.1f %7.2f  %s\n", float64(s.octets)/float64(n), float64(s.objects)/float64(n), s.name)
	}
	fmt.Printf("%9.1f          the rest\n%9.1f          in all\n", float64(rest)/float64(n), float64(total)/float64(n))
}
