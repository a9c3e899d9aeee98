package loop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/internal/jobs"
	"github.com/h2loop/h2loop/internal/route"
)

// A Server is an HTTP/2 server on event loops. Make one with [New], register
// routes, then call [Server.Run], once.
type Server struct {
	live    atomic.Pointer[Config] // what holds now; see config
	log     zerolog.Logger
	started time.Time
	routes  route.Table[Handler]
	refuse  Handler // for requests that no route takes

	root       Group          // of all routes
	registered []registration // as in routes
	notFound   Handler
	onError    func(x *Exchange, err error)

	usesWorkers bool        // there are blocking handlers
	workers     *jobs.Queue // which run on these, while Run does

	handlers     atomic.Int64 // calls of http.Handlers that have not returned
	description  *http.Server // made once, by httpServer
	describeOnce sync.Once

	listeners []*listener
	loops     []*eventLoop
	gate      *handshakeGate
	admission *admission
	scarcity  scarcity
	memory    memoryWatch
	shedLog   logPause
	picking   sync.Mutex

	certificates sync.Mutex // held while they are replaced
	settings     sync.Mutex // held by Reconfigure

	held   atomic.Int64 // octets that gnet holds for the connections of all loops
	pushed atomic.Int64 // octets written to streams and not sent
	bodies bodyPool

	connIDs atomic.Uint64         // the last one given
	tracing atomic.Pointer[trace] // nil while there is none

	panics   atomic.Int64
	cutConns atomic.Uint64 // when the drain had to end

	running atomic.Pointer[[]*eventLoop] // loops, once all of them run

	ran      atomic.Bool
	draining atomic.Bool
	quit     signal        // Shutdown was called
	cut      signal        // and its time is over
	closing  signal        // Run begins to end
	ended    chan struct{} // closed when Run has ended
	failed   chan error    // what ended the server against its will
	emptied  chan struct{} // a loop has no connections any more

	stuckAfter time.Duration                 // see there
	wall       func(now time.Time) time.Time // what the time of day is; nil for that of now
}

// A signal is raised once, by whoever comes first.
type signal struct {
	once sync.Once
	c    chan struct{}
}

func newSignal() signal  { return signal{c: make(chan struct{})} }
func (s *signal) raise() { s.once.Do(func() { close(s.c) }) }

// New makes a server as cfg says, and opens its listeners: an address that is
// taken is an error here.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	srv := &Server{
		started: time.Now(),
		quit:    newSignal(),
		cut:     newSignal(),
		closing: newSignal(),
		ended:   make(chan struct{}),
		failed:  make(chan error, 1),
		emptied: make(chan struct{}, 1),

		stuckAfter: stuckAfter,
	}
	srv.live.Store(&cfg)
	srv.bodies.left.Store(int64(cfg.HTTP2.MaxUnreadTotal))
	srv.root.srv = srv
	srv.memory.read = readMemory
	srv.gate = newHandshakeGate(srv)
	srv.admission = newAdmission(&cfg, func() time.Duration { return time.Since(srv.started) })
	if cfg.Logger != nil {
		srv.log = *cfg.Logger
	} else {
		srv.log = defaultLogger()
	}
	for i, ln := range cfg.Listeners {
		l, err := srv.listen(fmt.Sprintf("Config.Listeners[%d]", i), ln)
		if err != nil {
			srv.closeListeners()
			return nil, err
		}
		srv.listeners = append(srv.listeners, l)
	}
	return srv, nil
}

// config returns the settings that hold now, which are only for reading.
func (srv *Server) config() *Config { return srv.live.Load() }

// mustNotRun panics if it is too late for what.
func (srv *Server) mustNotRun(what string) {
	if srv.ran.Load() {
		panic(fmt.Sprintf("loop: %s after Run has begun", what))
	}
}

// Addrs returns the addresses that the listeners have, in the order of
// [Config.Listeners].
func (srv *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(srv.listeners))
	for i, l := range srv.listeners {
		addrs[i] = l.ln.Addr()
	}
	return addrs
}

// Run serves until ctx ends, then drains: it closes the listeners, lets the
// requests that are being served end for up to [Config.DrainTimeout], and
// returns nil. It does so too when [Server.Shutdown] is called, which has a
// bound of its own. Any error means that the server ended for another reason, or
// that a callback has held its loop up for 5 s behind that, which is then left.
func (srv *Server) Run(ctx context.Context) error {
	if srv.ran.Swap(true) {
		return errors.New("loop: Run was called twice, or after Shutdown")
	}
	defer close(srv.ended)
	defer srv.closing.raise() // if it does not begin in the first place
	defer srv.closeListeners()
	srv.assemble()
	if err := srv.startWorkers(); err != nil {
		return err
	}
	defer srv.stopWorkers()
	for i := range srv.config().Loops {
		el, err := newEventLoop(srv, i)
		if err != nil {
			return errors.Join(err, srv.stopLoops())
		}
		srv.loops = append(srv.loops, el)
	}
	srv.running.Store(&srv.loops)
	srv.scarcity.look()
	var acceptors sync.WaitGroup
	for _, l := range srv.listeners {
		srv.log.Info().Stringer("address", l.ln.Addr()).Bool("tls", l.tls != nil).Msg("listening")
		for range srv.config().Loops {
			acceptors.Go(l.accept)
		}
	}
	clock := time.NewTicker(tick)
	defer clock.Stop()
	var failure error
	var deadline <-chan time.Time // of the drain
wait:
	for {
		select {
		case <-clock.C:
			srv.tick()
		case <-ctx.Done():
			deadline = time.After(srv.config().DrainTimeout)
			break wait
		case <-srv.quit.c:
			break wait
		case failure = <-srv.failed:
			break wait
		}
	}
	srv.closing.raise()
	srv.closeListeners()
	if failure == nil {
		accepted := make(chan struct{}) // not on a loop that is dead, which opens nothing more
		go func() {
			acceptors.Wait()
			close(accepted)
		}()
		failure = srv.drain(clock.C, deadline, accepted)
		select {
		case <-accepted:
		case <-time.After(srv.stuckAfter): // a loop that does not turn opens nothing either
		}
	}
	return errors.Join(failure, srv.stopLoops())
}

// tick moves the clocks on.
func (srv *Server) tick() {
	for _, el := range srv.loops {
		el.postTick()
	}
	srv.scarcity.look()
	srv.gate.makeRoom(time.Since(srv.started))
	srv.watchMemory(time.Since(srv.started))
	if srv.memory.short.Load() || srv.admission.waiting.Load() > 0 {
		srv.makeRoom()
	}
}

// fail ends the server because of err.
func (srv *Server) fail(err error) {
	srv.log.Error().Err(err).Msg("the server ends")
	select {
	case srv.failed <- err:
	default:
	}
}

// Shutdown ends the server as the end of Run's context does, but waits for as
// long as ctx allows, whatever [Config.DrainTimeout] is. It returns nil once Run
// has ended, or, if ctx ends before that, the error of ctx after the connections
// that are left were cut off. It must not be called on a loop.
func (srv *Server) Shutdown(ctx context.Context) error {
	if !srv.ran.Swap(true) {
		srv.closing.raise()
		srv.closeListeners() // it has never run, and will not
		close(srv.ended)
		return nil
	}
	srv.quit.raise()
	select {
	case <-srv.ended:
		return nil
	case <-ctx.Done():
		srv.cut.raise()
		<-srv.ended
		return ctx.Err()
	}
}

// Draining returns what is closed when the server begins to end: when the context of
// Run ends, when [Server.Shutdown] is called, or because of a failure. From then on it
// accepts nothing more. Whoever answers for long, as a stream of events does, may end
// it then, and a health check may say that the server goes.
func (srv *Server) Draining() <-chan struct{} { return srv.closing.c }

// drain lets every connection end in order, until deadline, if there is one. Until
// accepted is closed there may be more of them. A loop that ends by itself ends it.
func (srv *Server) drain(clock, deadline <-chan time.Time, accepted <-chan struct{}) error {
	srv.draining.Store(true)
	for _, el := range srv.loops {
		_ = el.post(el.drain)
	}
	for accepted != nil || srv.openConns() > 0 || srv.working() > 0 {
		select {
		case <-accepted:
			accepted = nil
		case <-clock:
			srv.tick()
		case <-srv.emptied:
		case err := <-srv.failed:
			return err
		case <-deadline:
			srv.cutOff()
			return nil
		case <-srv.cut.c:
			srv.cutOff()
			return nil
		}
	}
	return nil
}

func (srv *Server) cutOff() {
	n := srv.openConns()
	srv.cutConns.Add(uint64(n))
	srv.log.Warn().Int("connections", n).Msg("drain timed out, connections are cut off")
}

// drain begins the graceful end of every connection of the loop.
func (l *eventLoop) drain() {
	for c := l.conns.head; c != nil; {
		next := c.next
		l.guarded(c, (*conn).drain)
		c = next
	}
}

// connClosed is called by the loop of c when it is gone.
func (srv *Server) connClosed(c *conn) {
	if srv.draining.Load() && c.loop.conns.n == 0 {
		select {
		case srv.emptied <- struct{}{}:
		default:
		}
	}
}

func (srv *Server) openConns() (n int) {
	for _, el := range srv.runningLoops() {
		n += int(el.nconns.Load())
	}
	return n
}

// runningLoops returns the loops; none before they all run.
func (srv *Server) runningLoops() []*eventLoop {
	if loops := srv.running.Load(); loops != nil {
		return *loops
	}
	return nil
}

// stuckAfter is how long a loop has to end, once it need not wait for anything.
const stuckAfter = 5 * time.Second

// stopLoops ends the loops. One on which a callback does not return cannot be made to:
// it is told of and left, and ends when the callback returns, if ever.
func (srv *Server) stopLoops() error {
	type end struct {
		loop int
		err  error
	}
	ends := make(chan end, len(srv.loops))
	stuck := make(map[int]bool, len(srv.loops))
	for i, el := range srv.loops {
		stuck[i] = true
		go func() { ends <- end{i, el.stop()} }()
	}
	patience := time.NewTimer(srv.stuckAfter)
	defer patience.Stop()
	var errs []error
	for len(stuck) > 0 {
		select {
		case e := <-ends:
			delete(stuck, e.loop)
			errs = append(errs, e.err)
		case <-patience.C:
			late := slices.Sorted(maps.Keys(stuck))
			return errors.Join(append(errs, fmt.Errorf("loop: loops %d do not end: a callback has not returned", late))...)
		}
	}
	return errors.Join(errs...)
}

func (srv *Server) closeListeners() {
	for _, l := range srv.listeners {
		l.close()
	}
}
