package loop

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/h2loop/h2loop/h2"
	"github.com/h2loop/h2loop/internal/h1"
	"github.com/h2loop/h2loop/tlsbridge"
)

// A stage is what a connection does with the octets that arrive.
type stage uint8

const (
	stageHandshake stage = iota // TLS
	stageNotTLS                 // which is not what came
	stageSniff                  // wait for the HTTP/2 preface, or what is not one
	stageServing                // by the engine
	stageLinger                 // answered, write side to be shut: discard until the peer closes
)

// Batch sizes, in octets. Large writes are cheap writes; how large is found
// out for each connection.
const (
	minBatch = 64 << 10
	maxBatch = 1 << 20

	// leastBatch is what a batch may have when the memory for output is used up.
	leastBatch = 16 << 10
)

// Linger bounds: how long, and how much, to listen to a peer once it has taken the
// last octet for it, so that the kernel does not answer what it still sends with a
// reset that destroys what we sent. lingerMost bounds the time in which it takes
// none of them where [h2.Config.StallTimeout] does not.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
	lingerMost  = time.Minute
)

// drainPause is how long a peer without open streams has to answer PING when the
// server drains.
const drainPause = time.Second

// sniffLimit is how many octets are looked at to tell protocols apart.
const sniffLimit = 64

// A conn is one connection of a loop.
type conn struct {
	wire   wire
	loop   *eventLoop
	id     uint64     // among those of the server
	trace  *connTrace // nil unless somebody looks
	ln     *listener
	remote netip.AddrPort // zero on a unix socket
	local  netip.AddrPort
	bridge *tlsbridge.Bridge  // nil for cleartext
	opened func([]byte) error // what bridge hands plaintext to; made once

	engine   engine // of what it speaks; nil until that is known
	protocol protocol
	h2       *h2.Conn // nil unless it speaks HTTP/2
	h1       *h1.Conn // nil unless it speaks HTTP/1.1

	// An idle connection is mostly this struct: small fields stand together.
	stage      stage
	isReady    bool // on loop.ready
	isTouched  bool // on loop.touched
	isBlocked  bool // the socket is full; the watch will say when it is not
	finishing  bool // close once everything is written; what still comes is discarded
	isPaused   bool // reading is, because the engine wishes so
	isDear     bool // on loop.dear: reading has stopped
	trigger    trigger
	broken     bool  // a panic left it in an unknown state
	isAdmitted bool  // by the handshakeGate
	isStepping bool  // a step of the handshake waits, on loop.shaking or off the loop, or runs there
	counted    uint8 // by the admission

	batch    int32 // octets the next batch may have
	lingered int32
	unread   int32 // octets the peer had not taken when lingering last looked
	piled    int32 // octets written while gnet still held earlier ones
	held     int32 // octets that gnet holds, as counted in loop.held
	requests int   // taken so far: in a day there may be more than fit into 32 bits

	sniffed  []byte // the first octets, in stageSniff and stageNotTLS
	pace     pace
	active   time.Duration // when octets last came or a stream ended, on the loop's clock
	since    time.Duration // when the connection was opened
	timer    timer
	oldAt    time.Duration // when the connection is old; 0 for never
	written  int64         // octets that were given to wire
	received int64         // octets that have come
	socket   *h2.Pace      // at which it takes octets while it is full; nil before
	examined time.Duration // when that was last looked at

	ticket *ticket // of the handshakeGate, while there is a handshake

	prev, next *conn // in loop.conns
}

// A connList holds the connections of a loop.
type connList struct {
	head, tail *conn // the newest, and the oldest
	n          int
}

func (l *connList) add(c *conn) {
	if c.next = l.head; c.next != nil {
		c.next.prev = c
	} else {
		l.tail = c
	}
	l.head = c
	l.n++
}

func (l *connList) remove(c *conn) {
	if c.prev == nil {
		l.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.tail = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	l.n--
}

// open begins the life of c on its loop.
func (c *conn) open(gc gnet.Conn) {
	l := c.loop
	c.wire.open(gc)
	l.srv.scarcity.saw(c.wire.fd)
	l.nconns.Add(1)
	l.conns.add(c)
	l.figures.Accepted++
	// Within a loop they ascend in the order of its list, for they are given here.
	c.id = l.srv.connIDs.Add(1)
	if t := l.srv.tracing.Load(); t != nil {
		c.maybeTrace(t)
	}
	c.batch = minBatch
	l.setTime() // a loop that was held up is behind
	c.since, c.active = l.now, l.now
	if f := l.srv.config().Hooks.ConnOpen; f != nil {
		c.tellConn(f)
	}
	c.timer.ring = func() { l.guarded(c, (*conn).onTimer) }
	first := l.now + min(l.srv.config().HandshakeTimeout, l.srv.config().IdleTimeout)
	if age := l.srv.config().MaxConnAge; age > 0 {
		c.oldAt = l.now + jitter(age)
		first = min(first, c.oldAt)
	}
	if l.srv.draining.Load() { // it has come at the last moment
		first = min(first, l.now+l.srv.config().DrainGrace)
	}
	l.wheel.arm(&c.timer, first)
	if c.ln.isTCP {
		c.inherit()
	}
	if c.ln.tls != nil {
		c.stage = stageHandshake
		c.bridge = c.ln.tls.NewBridge(l.records)
		c.bridge.Hold()
		c.opened = c.receivePlain
		if c.ln.showAddrs {
			c.bridge.SetAddrs(net.TCPAddrFromAddrPort(c.local), net.TCPAddrFromAddrPort(c.remote))
		}
	} else {
		c.stage = stageSniff
	}
}

// onClose is gnet's word that the connection is gone; the descriptor is still
// open, so that nobody else has its number.
func (c *conn) onClose(error) {
	l := c.loop
	fd := c.wire.fd
	c.wire.drop()
	c.countHeld()
	c.setBlocked(false)
	l.nconns.Add(-1)
	l.forgetExamined(c)
	l.conns.remove(c)
	l.srv.admission.leave(c)
	l.wheel.stop(&c.timer)
	l.watch.forget(c, fd)
	c.leaveGate(handshakeFailed)
	if c.bridge != nil {
		c.bridge.Stop()
	}
	switch {
	case c.stage != stageServing:
	case c.broken:
		c.engine.Abandon()
	default:
		c.engine.Close()
	}
	if f := l.srv.config().Hooks.ConnClose; f != nil {
		c.tellConn(f)
	}
	l.srv.connClosed(c)
}

// receive takes what has arrived and flushes what comes of it.
func (c *conn) receive() {
	b := c.wire.next()
	c.loop.beginTurn(len(b) >= dearRead)
	c.active = c.loop.now
	c.received += int64(len(b))
	c.loop.figures.Received += uint64(len(b))
	c.chooseTrigger(len(b))
	if c.bridge == nil {
		c.setRoom()
		_ = c.receivePlain(b)
	} else {
		c.receiveTLS(b)
	}
	c.loop.checkSlow()
	c.flush()
	c.standInLine()
}

func (c *conn) receiveTLS(b []byte) {
	switch {
	case c.finishing:
		c.discard(len(b))
		return
	case c.stage == stageNotTLS:
		c.refusePlaintext(c.look(b))
		return
	}
	c.setRoom()
	err := c.bridge.Receive(b, c.opened)
	if c.stage == stageHandshake && err == nil {
		if c.isAdmitted {
			l := c.loop
			l.srv.gate.hear(c.ticket, l.now)
		}
		err = c.handshake()
	}
	c.receivedTLS(err)
}

// receivedTLS goes on after octets were opened, or the handshake went on; err is
// what that has come to.
func (c *conn) receivedTLS(err error) {
	if c.finishing {
		return // a step was on its way when it failed
	}
	if c.stage == stageHandshake && c.bridge.HandshakeComplete() {
		c.handshakeDone()
	}
	if err == nil {
		return
	}
	c.leaveGate(handshakeFailed)
	if c.stage == stageHandshake {
		c.loop.figures.handshakesFailed++
	}
	c.takeRest() // it came before
	if plain, ok := errors.AsType[tlsbridge.NotTLSError](err); ok {
		c.stage = stageNotTLS
		c.refusePlaintext(c.look(plain.Prefix))
		return
	}
	if errors.Is(err, tlsbridge.ErrHandshakeTooLarge) {
		c.loop.cross(limitHandshakeBytes)
	}
	if p, ok := errors.AsType[tlsbridge.PanicError](err); ok {
		c.loop.srv.panics.Add(1)
		c.loop.srv.log.Error().Interface("panic", p.Value).Bytes("stack", p.Stack).
			Msg("panic in a callback of a tls.Config, connection closed")
	} else if c.stage == stageHandshake {
		c.loop.srv.log.Debug().Err(err).Stringer("remote", c.remote).Msg("TLS handshake failed")
	}
	c.finish()
}

// handshakeDone goes on with the protocol that ALPN has chosen.
func (c *conn) handshakeDone() {
	c.leaveGate(handshakeDone)
	c.loop.figures.handshakesDone++
	if c.bridge.ConnectionState().DidResume {
		c.loop.figures.handshakesResumed++
	}
	switch c.bridge.Protocol() {
	case "h2":
		c.startHTTP2()
		c.checkSuite()
	case "http/1.1", "http/1.0":
		c.startHTTP1()
	default:
		c.stage = stageSniff // the client has no ALPN
	}
}

// receivePlain takes octets of the application protocol.
func (c *conn) receivePlain(b []byte) error {
	if c.stage == stageHandshake {
		c.handshakeDone() // the octets came with the end of the handshake
	}
	switch {
	case c.finishing:
		c.discard(len(b))
	case c.stage == stageSniff:
		c.sniff(b)
	case c.stage == stageServing:
		c.receiveMessages(b)
	}
	return nil
}

// discard counts n octets that came behind the end. Too many of them end the
// connection, but not while the peer has yet to take what was sent before: closing
// would destroy that. If it takes none, lingerOn ends it.
func (c *conn) discard(n int) {
	if c.lingered <= lingerBytes {
		c.lingered += int32(n)
	}
	if c.lingered > lingerBytes && c.wire.unread() == 0 {
		c.loop.cross(limitLinger)
		c.wire.close()
	}
}

// sniff tells the HTTP/2 preface from an HTTP/1.1 request and from anything else
// by the first octets, which may come one at a time.
func (c *conn) sniff(b []byte) {
	if c.sniffed == nil && bytes.HasPrefix(b, preface) { // as most often: nothing is kept of it
		c.startHTTP2()
		c.receiveMessages(b)
		return
	}
	before := len(c.sniffed)
	switch seen := c.look(b); {
	case bytes.HasPrefix(seen, preface):
		c.sniffed = nil
		c.startHTTP2()
		c.receiveMessages(preface)
		c.receiveMessages(b[len(h2.Preface)-before:])
	case strings.HasPrefix(h2.Preface, string(seen)):
		// More must come.
	case c.ln.onlyHTTP2:
		c.refuseProtocol(seen)
	default:
		http1, sure := isHTTP1(seen)
		switch {
		case sure && !http1:
			c.loop.figures.Refused++
			c.finish() // it would not understand an answer
		case sure || len(seen) == sniffLimit:
			c.sniffed = nil
			c.startHTTP1()
			c.receiveMessages(seen[:before])
			c.receiveMessages(b)
		}
	}
}

var preface = []byte(h2.Preface)

// look adds b to the first octets and returns them, sniffLimit at most.
func (c *conn) look(b []byte) []byte {
	c.sniffed = append(c.sniffed, b[:min(len(b), sniffLimit-len(c.sniffed))]...)
	return c.sniffed
}

// speak begins what ALPN or the first octets have chosen.
func (c *conn) speak(e engine, p protocol) {
	c.stage, c.engine, c.protocol = stageServing, e, p
	c.setRoom()
}

// setRoom says how much DATA may join the batch before flush looks closer.
func (c *conn) setRoom() {
	if c.stage != stageServing {
		return
	}
	if c.isBlocked && c.wire.buffered() > 0 {
		c.engine.SetRoom(0)
		return
	}
	c.engine.SetRoom(min(minBatch, c.loop.allowance()))
}

// flush sends what c has to send: one batch, in one write. It is the only way
// out, called once a turn for each connection that may have output.
func (c *conn) flush() {
	c.isTouched = false
	if !c.wire.isOpen() {
		return
	}
	if c.stage == stageServing {
		c.flushMessages()
	} else if c.bridge != nil {
		c.writeRecords()
	}
	switch {
	case !c.wire.isOpen():
		return
	case c.finishing:
		c.linger()
	default:
		c.examineSoon()
	}
	if c.h1 != nil && !c.isDear {
		c.setReading()
	}
}

// flushMessages sends a batch of what the engine has to send.
func (c *conn) flushMessages() {
	h := c.engine
	waits := false // for the socket, with DATA to send
	if h.WantsRoom() {
		waits = c.widen()
		h.Fill()
		c.loop.checkSlow()
	} else if h.HasPending() {
		h.Fill() // for what has no octets to send
	}
	if h.HasPending() {
		c.writePending()
		if c.wire.isOpen() && c.isFlooded() {
			c.writePending() // GOAWAY
		}
	} else if c.bridge != nil {
		c.writeRecords()
	}
	if !c.wire.isOpen() {
		return
	}
	c.countHeld()
	if h.Finished() && !h.HasPending() {
		if c.h1 != nil && c.h1.Aborted() {
			c.wire.abort()
			return
		}
		c.finish()
	}
	switch {
	case c.wire.buffered() > 0 || waits:
		c.block()
	case h.WantsRoom() || h.HasPending():
		c.setRoom()
		c.loop.pushReady(c)
	default:
		c.pace.stop()
	}
}

// writePending writes the batch that the engine has made. The wire may be closed
// when it returns, and the engine with it.
func (c *conn) writePending() {
	segs := c.engine.Pending()
	before := c.wire.buffered()
	sent := 0
	for _, s := range segs {
		sent += len(s)
	}
	if c.bridge != nil {
		c.seal(segs)
	} else {
		c.write(segs, sent)
	}
	if !c.wire.isOpen() {
		return
	}
	if before == 0 {
		c.piled = 0
	} else {
		c.piled += int32(sent)
	}
	c.engine.Flushed()
	if c.wire.isOpen() {
		c.adapt(sent)
	}
}

// widen sets the room for a batch of DATA: as large as the last writes went
// through whole, as far as the socket takes it and the other connections with
// work leave. It reports true if the socket is full.
func (c *conn) widen() (full bool) {
	if c.wire.buffered() > 0 {
		c.engine.SetRoom(0)
		return true
	}
	allowance := c.loop.allowance()
	if c.batch <= minBatch || !c.ln.isTCP {
		c.engine.SetRoom(min(minBatch, allowance))
		return false
	}
	room, enough, unsent := c.wire.room(int(c.pace.ahead))
	if c.pace.ahead > 0 {
		c.measurePace(unsent)
	}
	if room < min(minBatch, enough) {
		c.engine.SetRoom(0)
		return true
	}
	share := max(maxBatch/max(c.loop.runnable, 1), minBatch)
	c.engine.SetRoom(min(int(c.batch), share, room, allowance))
	return false
}

// countHeld brings up to date what the loop knows of octets that gnet holds.
func (c *conn) countHeld() {
	n := int32(c.wire.buffered())
	if n == c.held {
		return
	}
	c.loop.held += int(n - c.held)
	c.loop.srv.held.Add(int64(n - c.held))
	c.held = n
}

// allowance returns how much DATA a batch may have for the sake of memory: an
// eighth of what the process has left of [Config.MaxHeldOutput]. Sockets
// say beforehand what they take, but not when the kernel is short of memory.
// Nobody is held up altogether: readers that stand still keep what they have.
func (l *eventLoop) allowance() int {
	left := l.srv.config().MaxHeldOutput - int(l.srv.held.Load())
	return max(left/8, leastBatch)
}

// adapt learns from a write of n octets how large the next batch may be.
func (c *conn) adapt(n int) {
	c.pace.wrote(n)
	switch {
	case c.wire.buffered() > 0:
		// It did not fit: from here on ask the socket first.
		c.batch = min(max(c.batch/2, 2*minBatch), maxBatch)
	case n >= int(c.batch)/2:
		c.batch = min(c.batch*2, maxBatch)
	}
}

// isFlooded reports whether too much was written on top of octets that the peer has
// not taken: answers to what it sends while it does not read. That ends the
// connection; the peer may still take what there is, see linger.
func (c *conn) isFlooded() bool {
	if int(c.piled) <= c.loop.srv.config().MaxUnreadAnswers || c.engine.Finished() {
		return false
	}
	c.loop.cross(limitUnreadOutput)
	c.loop.srv.log.Debug().Stringer("remote", c.remote).Msg("the peer makes us answer and does not read")
	c.protocol.calm("too many answers wait to be read")
	return c.engine.HasPending()
}

// seal encrypts segs and writes the records.
func (c *conn) seal(segs [][]byte) {
	if err := c.bridge.Seal(segs); err != nil {
		c.loop.srv.log.Debug().Err(err).Msg("sealing failed")
		c.wire.close()
		return
	}
	c.writeRecords()
}

// writeRecords writes what TLS has to say.
func (c *conn) writeRecords() {
	out := c.bridge.Pending()
	if len(out) == 0 {
		return
	}
	var segs [1][]byte
	segs[0] = out
	c.write(segs[:], len(out))
	c.bridge.Sent()
}

// write gives n octets in segs to the wire.
func (c *conn) write(segs [][]byte, n int) {
	c.written += int64(n)
	c.loop.figures.Sent += uint64(n)
	c.wire.write(segs)
}

// block has the watch tell when the socket takes octets again.
func (c *conn) block() {
	c.setBlocked(true)
	if !c.loop.watch.arm(c) {
		c.loop.srv.log.Error().Msg("a full socket cannot be watched, connection closed")
		c.wire.close()
	}
}

func (c *conn) setBlocked(blocked bool) {
	if blocked == c.isBlocked {
		return
	}
	c.isBlocked = blocked
	if blocked {
		c.loop.figures.blocked++
	} else {
		c.loop.figures.blocked--
	}
}

// pump goes on with a connection that was blocked. It does so in the next round,
// unless it is alone: many sockets drain at the same moment, and other events
// are to be polled between.
func (c *conn) pump() {
	if !c.wire.isOpen() || !c.isBlocked {
		return
	}
	c.wire.flush()
	if !c.wire.isOpen() {
		return
	}
	if c.isPaused {
		c.setReading()
	}
	c.countHeld()
	if c.wire.buffered() > 0 {
		c.block()
		return
	}
	c.setBlocked(false)
	c.setRoom()
	if c.loop.runnable > 1 {
		c.loop.pushReady(c)
		return
	}
	c.flush()
}

// finish closes the connection once what is pending is written and the peer
// has read it, or had the time to. The caller flushes.
func (c *conn) finish() { c.finishing = true }

// linger ends TLS and sends FIN, as soon as everything is with the kernel, and
// then waits for the peer's.
func (c *conn) linger() {
	if c.stage == stageLinger {
		return
	}
	if c.wire.buffered() == 0 && c.bridge != nil {
		c.bridge.CloseNotify()
		c.writeRecords()
	}
	if !c.wire.isOpen() {
		return
	}
	c.unread = int32(c.wire.unread())
	next := c.loop.now + lingerTime
	if c.wire.buffered() > 0 {
		c.loop.wheel.armBy(&c.timer, next) // once, and not for each octet that comes
		c.block()
		return
	}
	c.loop.wheel.arm(&c.timer, next)
	if c.stage == stageServing {
		c.engine.Close()
	}
	c.stage = stageLinger
	c.wire.shutdownWrite()
}

// lingerOn looks again at a connection that is to end. A peer that has not taken
// all that was sent is held to what any reader is: closing would destroy what is on
// its way. Once it has, it had the time since the last look to close.
func (c *conn) lingerOn() {
	left := c.wire.unread()
	if left == 0 && c.unread == 0 {
		c.wire.close()
		return
	}
	timeout := c.loop.srv.config().HTTP2.StallTimeout
	if timeout <= 0 {
		timeout = lingerMost
	}
	if c.takesTooLittle(left, timeout, 2*lingerTime) {
		c.loop.cross(limitLinger)
		c.wire.close()
		return
	}
	c.unread = int32(left)
	c.loop.wheel.arm(&c.timer, c.loop.now+lingerTime)
}

// drain begins the graceful end of c. Where the first request is still to come it waits
// a while for it: it may be on its way, and its client has no reason to expect that it
// is lost, as one has that uses an idle connection again (RFC 9112, Section 9.3.1).
// Over HTTP/2 the last GOAWAY tells.
func (c *conn) drain() {
	if grace := c.loop.srv.config().DrainGrace; grace > 0 && c.isNew() {
		c.loop.wheel.arm(&c.timer, c.loop.now+grace)
		return
	}
	c.endInOrder()
}

// endGrace ends a connection whose first request has not come in time, unless it is we
// who are behind.
func (c *conn) endGrace() {
	l := c.loop
	isBehind := c.isStepping || c.ticket != nil && !c.isAdmitted || c.hasInput()
	if isBehind && l.srv.config().DrainGrace > 0 {
		l.wheel.arm(&c.timer, l.now+tick)
		return
	}
	c.endInOrder()
}

// isNew reports whether no request has come, unless it is known to speak HTTP/2.
func (c *conn) isNew() bool {
	switch c.stage {
	case stageHandshake, stageSniff:
		return !c.finishing
	case stageServing:
		return c.h1 != nil && c.requests == 0 && !c.finishing && !c.engine.Draining()
	default:
		return false
	}
}

func (c *conn) endInOrder() {
	switch {
	case c.finishing:
		return
	case c.stage != stageServing:
		c.wire.close()
		return
	case c.protocol.established():
		c.retire()
	default:
		c.protocol.end("shutting down")
	}
	c.flush()
}
