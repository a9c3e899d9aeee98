package loop

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/h2"
)

// An admission decides, before a connection costs anything, whether it may have a loop:
// by how many there are of the process, and of one address, and by how fast the address
// opens them. Where the process has no room a connection waits, and those behind it stay in
// the backlog, where they cost nothing; where an address has had its share it is closed,
// for to leave it in the backlog would hold up those of others behind it.
//
// It is shared by all acceptors and all loops.
type admission struct {
	now func() time.Duration

	mu      sync.Mutex
	most    int       // of the process
	mostOne int       // of one address; 0 for no bound
	rate    h2.Budget // at which one address may open them; PerSecond is 0 for no bound
	open    int       // admitted, and not gone
	addrs   map[addrKey]*addrConns
	resting addrConnsList // those without connections, but with a past; unused for longest first
	shut    bool          // nothing is admitted for now
	waiting atomic.Int32  // acceptors
	room    chan struct{}

	crossed [numLimits]atomic.Uint64
	refused logPause
	full    logPause
}

// An addrKey is what [origin.Of] returns, without the pointer that a netip.Prefix has: the
// collector need not look at a table of them.
type addrKey struct {
	addr uint64
	is6  bool
}

// An addrConns is what is known of an address.
type addrConns struct {
	key        addrKey
	n          int           // connections
	spentUntil time.Duration // when its budget is whole again
	prev, next *addrConns    // in resting, while n is 0
}

// maxResting bounds the addresses that are known and have no connection. One that is
// forgotten begins with a whole budget.
const maxResting = 1 << 14

func newAdmission(cfg *Config, now func() time.Duration) *admission {
	a := &admission{now: now, addrs: make(map[addrKey]*addrConns), room: make(chan struct{}, 1)}
	a.reconfigure(cfg)
	return a
}

// reconfigure changes the bounds. Connections that are there stay.
func (a *admission) reconfigure(cfg *Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most, a.mostOne, a.rate = cfg.MaxConns, cfg.MaxConnsPerAddr, cfg.AcceptRate
	if a.most == 0 {
		a.most = mostConns()
	}
	a.wake()
}

// mostConns is how many connections the descriptors of the process are for. Each takes
// one; a fifth of them, 8192 at most, is left to files and to whatever else there is.
func mostConns() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(limit.Cur-min(limit.Cur/5, 8192), math.MaxInt))
}

func keyOf(a netip.Addr) addrKey {
	if a.Is6() {
		b := a.As16()
		return addrKey{binary.BigEndian.Uint64(b[:8]), true}
	}
	b := a.As4()
	return addrKey{uint64(binary.BigEndian.Uint32(b[:])), false}
}

// How much of a connection is counted.
const (
	countedNot  uint8 = iota
	countedAddr       // among those of its address
	countedAll        // and of the process
)

// admit reports whether the address of c may have one connection more, and counts it. If
// not, it says which limit is crossed. A unix socket has no address, and no bound.
func (a *admission) admit(c *conn) (ok bool, crossed limit) {
	remote := c.remote.Addr()
	if !remote.IsValid() {
		c.counted = countedAddr
		return true, 0
	}
	key := keyOf(remote)
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	e := a.addrs[key]
	if e == nil {
		e = &addrConns{key: key}
		a.addrs[key] = e
	} else if e.n == 0 {
		a.resting.remove(e)
	}
	switch {
	case a.mostOne > 0 && e.n >= a.mostOne:
		crossed = limitConnsOne
	case !a.spend(e, now):
		crossed = limitAcceptRate
	default:
		e.n++
		c.counted = countedAddr
		return true, 0
	}
	a.settle(e, now)
	a.crossed[crossed].Add(1)
	return false, crossed
}

// enter counts c, which admit has let through, among the connections of the process, if
// that has room or c is to go in all the same.
func (a *admission) enter(c *conn, always bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !always && (a.shut || a.open >= a.most) {
		return false
	}
	a.open++
	c.counted = countedAll
	return true
}

// spend takes one of the budget of e.
func (a *admission) spend(e *addrConns, now time.Duration) bool {
	if a.rate.PerSecond <= 0 {
		return true
	}
	each := time.Second / time.Duration(a.rate.PerSecond)
	until := max(e.spentUntil, now) + each
	if until-now > each*time.Duration(a.rate.Burst) {
		return false
	}
	e.spentUntil = until
	return true
}

// settle files e, if it has no connections, and forgets those that have no past either.
func (a *admission) settle(e *addrConns, now time.Duration) {
	if e.n > 0 {
		return
	}
	a.resting.push(e)
	// Two for each that comes: the list does not grow of what can be forgotten.
	for range 2 {
		first := a.resting.head
		if first == nil || first.spentUntil > now && a.resting.n <= maxResting {
			return
		}
		a.resting.remove(first)
		delete(a.addrs, first.key)
	}
}

// leave counts c no longer, as far as it was counted.
func (a *admission) leave(c *conn) {
	was := c.counted
	c.counted = countedNot
	if was == countedNot {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if was == countedAll {
		a.open--
	}
	if remote := c.remote.Addr(); remote.IsValid() {
		e := a.addrs[keyOf(remote)]
		e.n--
		a.settle(e, a.now())
	}
	a.wake()
}

// wake has an acceptor that waits look again. a.mu is held.
func (a *admission) wake() {
	if a.waiting.Load() > 0 && !a.shut && a.open < a.most {
		select {
		case a.room <- struct{}{}:
		default:
		}
	}
}

// setShut has nothing admitted for now, or everything as before.
func (a *admission) setShut(shut bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shut = shut
	a.wake()
}

// waitForRoom returns when c has its place among the connections of the process: at once, or
// when others have gone. Those that are idle, or have never said anything, are asked to.
// When the server begins to end, c has one all the same.
func (srv *Server) waitForRoom(c *conn) {
	a := srv.admission
	if a.enter(c, false) {
		return
	}
	a.crossed[limitConns].Add(1)
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	if more, due := a.full.isDue(a.now(), logPauseTime); due {
		srv.log.Warn().Int("connections", srv.openConns()).Uint64("more_since", more).
			Msg("accepting pauses until there is room for a connection")
	}
	srv.makeRoom()
	for !a.enter(c, false) {
		select {
		case <-a.room:
		case <-srv.closing.c:
			a.enter(c, true)
			return
		}
	}
	a.passOn()
}

// passOn has the next one look that waits.
func (a *admission) passOn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake()
}

// makeRoom has the loops end connections that are of little use to anybody, for others
// which wait.
func (srv *Server) makeRoom() {
	for _, el := range srv.runningLoops() {
		_ = el.post(el.makeRoom)
	}
}

// logPauseTime is the least time between two log lines of one kind about overload.
const logPauseTime = 10 * time.Second

// An addrConnsList is a list of addresses.
type addrConnsList struct {
	head, tail *addrConns
	n          int
}

func (l *addrConnsList) push(e *addrConns) {
	e.prev, e.next = l.tail, nil
	if l.tail == nil {
		l.head = e
	} else {
		l.tail.next = e
	}
	l.tail = e
	l.n++
}

func (l *addrConnsList) remove(e *addrConns) {
	if e.prev == nil {
		l.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	l.n--
}

// mostConns returns how many connections there may be.
func (a *admission) mostConns() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.most
}
