package loop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/internal/freelist"
	"github.com/h2loop/h2loop/internal/h1"
	"github.com/h2loop/h2loop/tlsbridge"
)

// ErrClosed is returned by what can no longer be done because the exchange,
// the connection or the server is gone.
var ErrClosed = errors.New("loop: closed")

// An eventLoop is one of gnet's loops and all that its connections share. It
// is the event handler of a reactor that has this loop alone, so that we, and
// not gnet, decide which loop a connection goes to.
//
// But for what stands under mu, everything belongs to the loop's goroutine.
type eventLoop struct {
	gnet.BuiltinEventEngine

	srv    *Server
	index  int // in srv.loops
	client *gnet.Client
	self   gnet.EventLoop
	bell   *doorbell
	watch  *writableWatch
	epfd   int // gnet's, which it keeps to itself; see findEpoll

	adopted *Config // what shared and shared1 were told of
	shared  *h2.Shared
	shared1 *h1.Shared
	records *tlsbridge.Buffers
	free    exchangeList
	lengths [lengthCache]lengthText
	wheel   wheel
	now     time.Duration // since the server was made, as of the last tick
	trimAt  time.Duration
	second  int64
	date    string // for the Date field, as of second

	conns      connList
	examined   *conn         // the next that makeRoom looks at; nil for the oldest
	madeRoomAt time.Duration // when that was
	ready      []*conn       // have more to send, a batch a round
	turnTime   time.Duration // dearTurn, but in some tests
	share      turnShare     // of the connection whose turn it is
	dear       []dearConn    // have more to say, which takes long; one of them a round
	rests      freelist.List[[]byte]
	nrests     int // of those in dear that have one
	shaking    shakeLine
	shookAt    time.Duration // when the last step on the loop ended
	round      []*conn       // the round being served
	touched    []*conn       // have output that no flush of this turn will see

	// runnable is about how many connections can send bulk now; they share
	// the largest batch.
	runnable int

	held int // octets that gnet holds for the connections

	crew      httpCrew
	turn      turnClock
	shed      shedder
	short     bool // of memory
	turnsAway bool // requests, for one of these
	figures   figures

	isAwaited bool          // goroutines have something to do for exchanges
	events    uint          // on connections, so far
	yieldedAt time.Duration // when others could last run, since the server was made
	backlogs  []unix.PollFd // of the listeners
	pauses    *loopPause    // nil if nobody needs them

	opened       bool          // a connection, and nothing has come since
	examineEvery time.Duration // how often a busy connection is examined

	nconns  atomic.Int32 // connections open, for the acceptors
	tickAt  atomic.Int64 // when a tick was posted that waits; 0 for none
	joining int32        // connections handed over and not open yet; under srv.picking

	mu        sync.Mutex
	tasks     []func()
	writable  []*conn
	executing bool // an Execute is on its way
	ticking   bool // a tick is among tasks
	closed    bool
	published figures // as of the last tick
	spare     []func()
	spareConn []*conn
}

// newEventLoop starts a reactor with one loop, and its doorbell.
func newEventLoop(srv *Server, index int) (*eventLoop, error) {
	cfg := srv.config()
	l := &eventLoop{
		srv:     srv,
		index:   index,
		adopted: cfg,
		shared:  h2.NewShared(cfg.HTTP2),
		shared1: h1.NewShared(cfg.HTTP1),
		records: tlsbridge.NewBuffers(),

		turnTime: dearTurn,
	}
	l.shared.Pool = &srv.bodies
	l.shared1.Bodies = l.shared
	l.examineEvery = min(l.shared.TickEvery(), l.shared1.TickEvery())
	l.setTime()
	var err error
	l.client, err = gnet.NewClient(l,
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readSize),
		gnet.WithTCPNoDelay(gnet.TCPDelay), // which leaves it at what net has set
		gnet.WithLogger(gnetLog{srv.log}))
	if err != nil {
		return nil, fmt.Errorf("loop: making a reactor: %w", err)
	}
	if err := l.client.Start(); err != nil {
		return nil, fmt.Errorf("loop: starting a reactor: %w", err)
	}
	if err := l.install(); err != nil {
		_ = l.client.Stop()
		return nil, err
	}
	return l, nil
}

// install gives the running loop its doorbell and its watch.
func (l *eventLoop) install() (err error) {
	if l.bell, err = newDoorbell(); err != nil {
		return fmt.Errorf("loop: making a doorbell: %w", err)
	}
	l.pauses = newLoopPause(l.srv.config().Loops)
	if l.watch, err = newWritableWatch(l); err != nil {
		l.pauses.close()
		l.bell.close()
		return fmt.Errorf("loop: making an epoll instance: %w", err)
	}
	defer func() {
		if err != nil {
			l.watch.close()
			l.pauses.close()
			l.bell.close()
		}
	}()
	for i := range l.bell.lines {
		line := &l.bell.lines[i]
		gc, err := l.client.EnrollContext(line.local, line)
		if err != nil {
			return fmt.Errorf("loop: enrolling a doorbell: %w", err)
		}
		l.self = gc.EventLoop()
	}
	if l.epfd, err = findEpoll(l.bell.lines[0].read.fd); err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	return nil
}

// stop ends the loop, which has no connections any more, or none that matter.
func (l *eventLoop) stop() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.crew.end()
	err := l.client.Stop()
	l.bury()
	l.watch.close()
	l.bell.close()
	l.pauses.close()
	// What was posted and not run finds its exchange over, and gives back what
	// it holds.
	for _, f := range l.tasks {
		l.runTask(f)
	}
	l.tasks, l.writable = nil, nil
	l.publish()
	return err
}

// bury closes what a loop that has died in a callback has left open. After an
// ordinary end that is nothing.
func (l *eventLoop) bury() {
	for c := l.conns.head; c != nil; {
		next := c.next
		l.guarded(c, func(c *conn) { c.wire.close() })
		c = next
	}
	for i := range l.bell.lines {
		l.bell.lines[i].read.close()
	}
}

// OnOpen takes a connection that an acceptor has enrolled.
func (l *eventLoop) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	switch c := gc.Context().(type) {
	case *conn:
		defer l.contain(c)
		c.open(gc)
		l.endTurn()
		l.opened = true
	case *bellLine:
		c.read.open(gc)
	}
	return nil, gnet.None
}

// OnClose is the last that is heard of gc.
func (l *eventLoop) OnClose(gc gnet.Conn, err error) gnet.Action {
	switch c := gc.Context().(type) {
	case *conn:
		defer l.contain(c)
		c.onClose(err)
		if len(l.touched) > 0 {
			l.bell.ring() // this need not be within a turn
		}
	case *bellLine:
		c.read.drop()
		if c == &l.bell.lines[0] {
			l.lost()
		}
	}
	return gnet.None
}

// lost is called when the doorbell closes: the loop has ended.
func (l *eventLoop) lost() {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if !closed {
		l.srv.fail(errors.New("loop: the event loop ended by itself"))
	}
}

// OnTraffic takes what has arrived on gc.
func (l *eventLoop) OnTraffic(gc gnet.Conn) gnet.Action {
	switch c := gc.Context().(type) {
	case *conn:
		l.guarded(c, (*conn).receive)
		l.endTurn()
		if l.opened {
			// An acceptor waits to go on. Where there is no CPU for it but this
			// one, it would wait until the runtime takes that from us, 10 ms,
			// and so would each connection behind it.
			l.opened = false
			l.letOthersRun()
		} else {
			l.maybeYield()
		}
	case *bellLine:
		l.bell.answered(c)
		l.serveRound()
		l.endTurn()
		l.yield()
	}
	return gnet.None
}

// contain keeps a panic under c from ending the process: it costs c.
func (l *eventLoop) contain(c *conn) {
	if v := recover(); v != nil {
		l.srv.panics.Add(1)
		l.srv.log.Error().Interface("panic", v).Bytes("stack", debug.Stack()).Msg("panic on the loop, connection closed")
		if c != nil {
			c.broken = true // its state is not to be trusted
			c.wire.close()
		}
	}
}

// serveRound gives each connection that has more to send one batch.
func (l *eventLoop) serveRound() {
	l.round, l.ready = l.ready, l.round[:0]
	l.runnable = len(l.round)
	for i, c := range l.round {
		l.round[i] = nil
		c.isReady = false
		l.guarded(c, (*conn).flush)
	}
	l.round = l.round[:0]
	l.runnable = len(l.ready)
	l.shakeOne()
	l.hearDear()
}

// guarded calls f for c and contains its panic.
func (l *eventLoop) guarded(c *conn, f func(*conn)) {
	defer l.contain(c)
	f(c)
}

// touch says that c has output which nobody will flush this turn otherwise.
func (l *eventLoop) touch(c *conn) {
	if !c.isTouched {
		c.isTouched = true
		l.touched = append(l.touched, c)
	}
}

// endTurn flushes the connections that were touched. Those that this touches
// in turn wait until other events have been polled, like all that are ready:
// the bell is rung last, behind what has arrived during the turn.
func (l *eventLoop) endTurn() {
	if len(l.touched) > 0 {
		l.flushTouched()
	}
	if len(l.ready) > 0 || len(l.dear) > 0 || !l.shaking.isEmpty() {
		l.bell.ring()
	}
}

func (l *eventLoop) flushTouched() {
	n := len(l.touched)
	for i := range n {
		if c := l.touched[i]; c.isTouched { // not flushed since
			l.guarded(c, (*conn).flush)
		}
	}
	for _, c := range l.touched[n:] {
		c.isTouched = false
		l.pushReady(c)
	}
	clear(l.touched)
	l.touched = l.touched[:0]
}

// pushReady puts c into the next round. endTurn rings for it.
func (l *eventLoop) pushReady(c *conn) {
	if !c.isReady {
		c.isReady = true
		l.ready = append(l.ready, c)
	}
}

// post runs f on the loop, in order with others, and returns at once. All that
// is posted until the loop comes to it shares one wake-up.
func (l *eventLoop) post(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.tasks = append(l.tasks, f)
	return l.execute()
}

// postTick posts the tick, unless one is waiting.
func (l *eventLoop) postTick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && !l.ticking {
		l.ticking = true
		l.tickAt.Store(int64(time.Since(l.srv.started)))
		l.tasks = append(l.tasks, l.tick)
		_ = l.execute()
	}
}

// postWritable has c pumped on the loop.
func (l *eventLoop) postWritable(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.writable = append(l.writable, c)
		_ = l.execute()
	}
}

// execute makes the loop run its tasks. mu is held.
func (l *eventLoop) execute() error {
	if l.pauses != nil {
		l.pauses.posted(l.srv.started)
	}
	if l.executing {
		return nil
	}
	l.executing = true
	return l.self.Execute(context.Background(), (*taskRunner)(l))
}

// A taskRunner is the loop as gnet's Runnable.
type taskRunner eventLoop

// Run runs the tasks posted so far.
func (r *taskRunner) Run(context.Context) error {
	l := (*eventLoop)(r)
	l.mu.Lock()
	tasks, writable := l.tasks, l.writable
	l.tasks, l.writable = l.spare[:0], l.spareConn[:0]
	l.executing = false
	l.mu.Unlock()
	l.runnable = len(writable) + len(l.ready)
	for i, c := range writable {
		writable[i] = nil
		l.guarded(c, (*conn).pump)
	}
	for i, f := range tasks {
		tasks[i] = nil
		l.runTask(f)
	}
	l.checkSlow()
	l.runnable = len(l.ready)
	l.endTurn()
	l.spare, l.spareConn = tasks, writable
	return nil
}

func (l *eventLoop) runTask(f func()) {
	defer l.contain(nil)
	f()
}

// tick moves the loop's clock and rings its timers.
func (l *eventLoop) tick() {
	l.mu.Lock()
	l.ticking = false
	posted := time.Duration(l.tickAt.Swap(0))
	l.mu.Unlock()
	l.setTime()
	l.lookHowLate(l.now, l.now-posted)
	l.adopt()
	l.wheel.advance(l.now)
	l.crew.trim()
	if l.now >= l.trimAt {
		l.trimAt = l.now + trimEvery
		l.trim()
	}
	l.publish()
}

// trimEvery is how often a loop forgets what a rush has left.
const trimEvery = 500 * time.Millisecond

// trim gives memory back that nobody has needed since it was last called.
func (l *eventLoop) trim() {
	l.shared.Trim()
	l.shared1.Trim()
	l.records.Trim()
	l.free.trim()
	l.rests.Trim(0)
}

func (l *eventLoop) setTime() {
	t := time.Now()
	l.now = t.Sub(l.srv.started)
	l.shared.Now, l.shared1.Now = l.now, l.now
	if l.srv.wall != nil {
		t = l.srv.wall(t)
	}
	if s := t.Unix(); s != l.second {
		l.second = s
		l.date = t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		l.shared1.Date = l.date
	}
}

// A lengthText is a content-length as text.
type lengthText struct {
	n    int64
	text string
}

// lengthCache is how many texts of content-lengths a loop remembers. It is a
// power of two.
const lengthCache = 256

// lengthText returns n in decimal, most often without an allocation.
func (l *eventLoop) lengthText(n int64) string {
	e := &l.lengths[n&(lengthCache-1)]
	if e.text == "" || e.n != n {
		*e = lengthText{n, strconv.FormatInt(n, 10)}
	}
	return e.text
}
