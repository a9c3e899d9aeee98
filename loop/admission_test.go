package loop

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/h2loop/h2loop/h2"
)

// connOf returns a connection from that address, which no loop has.
func connOf(addr string) *conn {
	c := &conn{}
	if addr != "" {
		c.remote = netip.AddrPortFrom(netip.MustParseAddr(addr), 1)
	}
	return c
}

// TestAdmission counts connections by their addresses, with a clock of its own.
func TestAdmission(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	a := newAdmission(&Config{MaxConns: 3, MaxConnsPerAddr: 2}, func() time.Duration { return now })
	admit := func(addr string, want bool, crossed limit) *conn {
		t.Helper()
		c := connOf(addr)
		if ok, by := a.admit(c); ok != want || !ok && by != crossed {
			t.Fatalf("%q is let in: %v, by %s; want %v, %s", addr, ok, limitNames[by], want, limitNames[crossed])
		}
		return c
	}
	first := admit("192.0.2.1", true, 0)
	admit("192.0.2.1", true, 0)
	admit("192.0.2.1", false, limitConnsOne)
	admit("192.0.2.2", true, 0)
	admit("2001:db8::1", true, 0)
	admit("2001:db8::2", true, 0)
	admit("2001:db8::ffff:3", false, limitConnsOne)
	admit("2001:db8:0:1::1", true, 0)
	admit("::192.0.2.1", true, 0) // not the IPv4 address
	for range 10 {
		admit("", true, 0) // of a unix socket
	}
	if n := a.crossed[limitConnsOne].Load(); n != 2 {
		t.Errorf("%d counted", n)
	}
	a.leave(first)
	a.leave(first) // once is enough
	admit("192.0.2.1", true, 0)
	admit("192.0.2.1", false, limitConnsOne)

	// Those of the process.
	var in []*conn
	for range 3 {
		in = append(in, connOf("192.0.2.9"))
		if !a.enter(in[len(in)-1], false) {
			t.Fatal("there is room")
		}
	}
	late := admit("", true, 0)
	if a.enter(late, false) {
		t.Error("a fourth one is let in")
	}
	a.reconfigure(&Config{MaxConns: 4})
	if !a.enter(late, false) {
		t.Error("a fourth one is not let in")
	}
	a.setShut(true)
	a.leave(late)
	if a.enter(late, false) {
		t.Error("one is let in that has to wait")
	}
	if !a.enter(late, true) {
		t.Error("one is not let in at the end")
	}

	// And how fast.
	a = newAdmission(&Config{AcceptRate: h2.Budget{Burst: 3, PerSecond: 10}}, func() time.Duration { return now })
	for range 3 {
		a.leave(admit("192.0.2.1", true, 0))
	}
	admit("192.0.2.1", false, limitAcceptRate)
	admit("192.0.2.2", true, 0)
	now += time.Second / 10
	a.leave(admit("192.0.2.1", true, 0))
	admit("192.0.2.1", false, limitAcceptRate)
	now += time.Hour
	for range 3 {
		a.leave(admit("192.0.2.1", true, 0))
	}
	admit("192.0.2.1", false, limitAcceptRate)
}

// TestAdmissionForgets has more addresses come and go than are remembered.
func TestAdmissionForgets(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	a := newAdmission(&Config{AcceptRate: h2.Budget{Burst: 1, PerSecond: 1}}, func() time.Duration { return now })
	come := func(i int) {
		c := connOf(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff))
		a.admit(c)
		a.leave(c)
	}
	for i := range 2 * maxResting {
		come(i)
	}
	if n := len(a.addrs); n != maxResting || a.resting.n != n {
		t.Errorf("%d addresses are known, %d of them at rest; want %d", n, a.resting.n, maxResting)
	}
	now = time.Minute // their budgets are whole again
	for i := range maxResting {
		come(1<<20 + i)
		now += time.Millisecond
	}
	if n := len(a.addrs); n > 2000 {
		t.Errorf("%d addresses are known, of which all but the last 1000 have no past", n)
	}
	a = newAdmission(&Config{}, func() time.Duration { return now })
	for i := range 100 {
		come(i)
	}
	if n := len(a.addrs); n != 0 {
		t.Errorf("%d addresses are known without any bound", n)
	}
}

// TestMakeRoomOrder looks for connections that are to make room: those that are silent,
// and then those idle for longest; never one that was active a moment ago.
func TestMakeRoomOrder(t *testing.T) {
	t.Parallel()
	l := &eventLoop{now: time.Minute}
	of := func(idle time.Duration, mute bool) *conn {
		c := &conn{loop: l, active: l.now - idle, stage: stageSniff}
		if !mute {
			c.stage, c.protocol, c.engine = stageServing, fakeIdle{}, fakeIdle{}
		}
		return c
	}
	idle, idler := of(2*time.Second, false), of(3*time.Second, false)
	mute, muter := of(time.Second, true), of(2*time.Second, true)
	fresh, freshMute := of(time.Second-1, false), of(0, true)
	for _, c := range []*conn{fresh, idle, mute, idler, freshMute, muter} {
		l.conns.add(c)
	}
	got := l.dispensable(10)
	want := []*conn{muter, mute, idler, idle}
	if len(got) != len(want) {
		t.Fatalf("%d may go, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("place %d has another", i)
		}
	}
	if got := l.dispensable(2); len(got) != 2 || got[0] != muter || got[1] != mute {
		t.Error("the first two are not those that are silent")
	}
	// Many are looked at by and by, and those that go meanwhile do no harm.
	l.conns = connList{}
	l.examined = nil
	for range 2 * roomLook {
		l.conns.add(of(2*time.Second, true))
	}
	l.dispensable(1)
	next := l.examined
	l.forgetExamined(next)
	l.conns.remove(next)
	if l.examined == next || l.examined == nil {
		t.Fatal("the next one to be looked at has gone")
	}
	seen := map[*conn]bool{}
	for range 4 {
		for _, c := range l.dispensable(roomLook) {
			seen[c] = true
		}
	}
	if len(seen) != l.conns.n {
		t.Errorf("%d of %d have been looked at", len(seen), l.conns.n)
	}
}

// fakeIdle is an engine and a protocol with nothing to do.
type fakeIdle struct {
	protocol
	engine
}

func (fakeIdle) established() bool { return true }
func (fakeIdle) OpenStreams() int  { return 0 }
func (fakeIdle) Draining() bool    { return false }

// BenchmarkAdmission is what an accept and a close cost more.
func BenchmarkAdmission(b *testing.B) {
	started := time.Now()
	for name, cfg := range map[string]*Config{
		"no bound of an address": {},
		"all bounds":             {MaxConnsPerAddr: 1 << 20, AcceptRate: h2.Budget{Burst: 1 << 30, PerSecond: 1e9}},
	} {
		b.Run(name, func(b *testing.B) {
			a := newAdmission(cfg, func() time.Duration { return time.Since(started) })
			conns := make([]*conn, 256)
			for i := range conns {
				conns[i] = connOf(fmt.Sprintf("192.0.2.%d", i))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c := conns[i&255]
				if ok, _ := a.admit(c); !ok {
					b.Fatal("refused")
				}
				a.enter(c, false)
				a.leave(c)
				i++
			}
		})
	}
}
