package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/bench/affinity"
)

// Where a connection of hello stops.
const (
	stopBefore = "before" // the ClientHello: it says nothing
	stopInside = "inside" // it: half of its record is sent
	stopAfter  = "after"  // it: what the server answers is not read
)

// hello has many connections stop in their TLS handshake, and tells what they cost
// the server and a good client that comes with new connections all the time. It
// does so twice: with limits and timeouts that nobody runs into, which shows what
// a connection costs in that state, and with those that a server has by default,
// while those who were turned away come back at once.
func hello(args []string) error {
	flags := flag.NewFlagSet("hello", flag.ExitOnError)
	conns := flags.Int("conns", 20_000, "connections that stop")
	where := flags.String("where", "all", "where they stop: before, inside or after the ClientHello, or all")
	mode := flags.String("limits", "both", "of the server: none, default, or both, one after the other")
	addrs := flags.Int("addrs", 400, "addresses of 127.0.0.0/8 that they come from")
	key := flags.String("key", "ecdsa", "key of the server: ecdsa or rsa")
	last := flags.Duration("for", 5*time.Second, "how long the good client is measured, each time")
	procs := flags.Int("procs", 1, "GOMAXPROCS of the server, which has one loop and one core")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *conns < 1 || *addrs < 1 || *addrs > 60_000 {
		return errors.New("-conns is at least 1, -addrs between 1 and 60000")
	}
	if err := needDescriptors(*conns); err != nil {
		return err
	}
	if err := affinity.Pin(1); err != nil {
		return err
	}
	record, err := clientHello()
	if err != nil {
		return err
	}
	says := map[string][]byte{stopBefore: nil, stopInside: record[:len(record)/2], stopAfter: record}
	for _, w := range []string{stopBefore, stopInside, stopAfter} {
		if *where != "all" && *where != w {
			continue
		}
		for _, limits := range []string{"none", "default"} {
			if *mode != "both" && *mode != limits {
				continue
			}
			run := helloRun{
				stallers: stallers{says: says[w], addrs: *addrs, comeBack: limits == "default"},
				conns:    *conns, last: *last,
			}
			fmt.Printf("== %d connections from %d addresses stop %s the ClientHello (%d octets sent); limits: %s; key: %s\n",
				*conns, *addrs, w, len(says[w]), limits, *key)
			if err := run.run(*procs, *key); err != nil {
				return fmt.Errorf("%s, limits %s: %w", w, limits, err)
			}
		}
	}
	return nil
}

type helloRun struct {
	stallers
	conns int
	last  time.Duration
}

// run makes a server and tells how it fares.
func (r *helloRun) run(procs int, key string) (err error) {
	argv := []string{"-loops=1", "-tls=" + key}
	if !r.comeBack {
		most := fmt.Sprint(r.conns + 1024)
		argv = append(argv, "-handshake-timeout=10m", "-max-handshakes="+most, "-max-handshakes-per-addr="+most)
	}
	srv, err := start("0", []string{fmt.Sprint("GOMAXPROCS=", procs)}, argv...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	by, err := dial(srv.addr, 1<<20, 0)
	if err != nil {
		return err
	}
	defer by.close()
	ours, theirs := netip.MustParseAddr("127.0.0.1"), r.addr(0)
	if err := newcomers(srv, "a good client, the server quiet", ours, r.last); err != nil {
		return err
	}
	before, err := srv.footprint(by)
	if err != nil {
		return err
	}
	began := time.Now()
	figures, err := by.pairs("/figures")
	if err != nil {
		return err
	}
	r.to = srv.addrTLS
	defer r.end()
	if err := r.begin(r.conns, by); err != nil {
		return err
	}
	if err := accepted(by, figures["accepted"]+int64(r.conns)); err != nil {
		return err
	}
	fmt.Printf("%d connections made in %v\n", r.conns, time.Since(began).Round(time.Millisecond))
	during, err := srv.footprint(by)
	if err != nil {
		return err
	}
	if err := r.report(by); err != nil {
		return err
	}
	fmt.Println(during.since(before, r.conns))
	fmt.Printf("in all: heap in use %.1f MiB, stacks %.1f MiB, RSS %.1f MiB\n", mib(during.heap), mib(during.stacks), mib(during.rss))
	if err := newcomers(srv, "a good client beside them, from an address of its own", ours, r.last); err != nil {
		return err
	}
	if err := newcomers(srv, "a good client beside them, from an address of theirs", theirs, r.last); err != nil {
		return err
	}
	cpu, err := srv.cpu()
	if err != nil {
		return err
	}
	if err := r.report(by); err != nil {
		return err
	}
	fmt.Printf("CPU of the server from the first to now: %d ms in %v\n", (cpu-before.cpu)/1000, time.Since(began).Round(time.Millisecond))
	r.end()
	time.Sleep(time.Second)
	after, err := srv.footprint(by)
	if err != nil {
		return err
	}
	if err := r.report(by); err != nil {
		return err
	}
	fmt.Printf("closed: heap in use %.1f MiB, %.1f before; RSS %.1f MiB, %.1f before\n",
		mib(after.heap), mib(before.heap), mib(after.rss), mib(before.rss))
	return nil
}

// accepted waits until the server has accepted n connections, and has had the time
// to read what they said.
func accepted(by *client, n int64) error {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		m, err := by.pairs("/figures")
		if err != nil {
			return err
		}
		if m["accepted"] >= n {
			time.Sleep(time.Second)
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the server has accepted %d connections, not %d, in %v", m["accepted"], n, patience)
		}
	}
}

// report tells what the server and its peers know of each other.
func (r *helloRun) report(by *client) error {
	time.Sleep(200 * time.Millisecond) // the server's figures are of the last tick
	m, err := by.pairs("/figures")
	if err != nil {
		return err
	}
	fmt.Printf("the server closed %d so far; it says: %d connections, %d handshakes; limits crossed:",
		r.turnedAway.Load(), m["connections"], m["handshakes"])
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if limit, ok := strings.CutPrefix(name, "limit."); ok {
			fmt.Printf(" %s %d", limit, m[name])
		}
	}
	fmt.Println()
	return nil
}

// newcomers makes one new TLS connection with a request after the other.
func newcomers(srv *server, what string, from netip.Addr, last time.Duration) error {
	d := dialer{addr: srv.addrTLS, from: from, tls: clientTLS(), window: 1 << 20, patience: 15 * time.Second}
	var times sample
	var failure error
	failures := 0
	for began := time.Now(); time.Since(began) < last; {
		asked := time.Now()
		err := visit(d)
		if err != nil {
			failures, failure = failures+1, err
			time.Sleep(time.Millisecond)
			continue
		}
		times = append(times, time.Since(asked))
	}
	fmt.Printf("%-53s %5d served: %v; %d failures", what, len(times), times, failures)
	if failure != nil {
		fmt.Printf(" (%v)", failure)
	}
	fmt.Println()
	return nil
}

// visit connects, asks, and leaves.
func visit(d dialer) error {
	c, err := d.dial()
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.ask("/hello")
	return err
}

// stallers are connections that say something and then nothing more.
type stallers struct {
	to       string
	says     []byte
	addrs    int
	comeBack bool // those that the server closes are made anew

	fds        []int
	epoll      int
	turnedAway atomic.Int64
	ending     atomic.Bool
	watched    chan error // what watch returned
}

// addr returns the address that connection i comes from.
func (s *stallers) addr(i int) netip.Addr {
	n := i%s.addrs + 256 // 127.0.1.0 and up
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}

// begin makes n connections; by asks the server how far it is.
func (s *stallers) begin(n int, by *client) (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	s.fds = make([]int, n)
	for i := range s.fds {
		s.fds[i] = -1
	}
	const backlog = 500 // more might make the kernel drop one, which waits for a second then
	for i := range s.fds {
		if err := s.make(i); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if i%backlog == backlog-1 {
			if _, err := by.ask("/hello"); err != nil { // the loop has accepted what came before, or nearly
				return err
			}
		}
	}
	s.watched = make(chan error, 1)
	go func() { s.watched <- s.watch() }()
	return nil
}

// make makes connection i.
func (s *stallers) make(i int) error {
	fd, err := dialer{addr: s.to, from: s.addr(i)}.connect()
	if err != nil {
		return err
	}
	s.fds[i] = fd
	if _, err := (fdConn{fd: fd}).Write(s.says); err != nil {
		return err
	}
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: int32(i)})
}

// watch counts the connections that the server closes, and makes them anew if
// they are to come back.
func (s *stallers) watch() error {
	events := make([]unix.EpollEvent, 256)
	for !s.ending.Load() {
		n, err := unix.EpollWait(s.epoll, events, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			s.turnedAway.Add(1)
			i := int(e.Fd)
			_ = unix.Close(s.fds[i])
			s.fds[i] = -1
			if !s.comeBack {
				continue
			}
			if err := s.make(i); err != nil && !isReset(err) {
				return fmt.Errorf("coming back: %w", err)
			}
		}
	}
	return nil
}

func isReset(err error) bool { return errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) }

// end closes them all.
func (s *stallers) end() {
	if s.ending.Swap(true) {
		return
	}
	if s.watched != nil {
		if err := <-s.watched; err != nil {
			fmt.Println("the connections were not watched to the end:", err)
		}
	}
	for _, fd := range s.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	_ = unix.Close(s.epoll)
}
