package loop

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/h2loop/h2loop/internal/message"
)

// ErrNoUpgrade is returned by [Exchange.Switch] for a request that does not ask to
// switch protocols, or over HTTP/1.1 not yet, because its body has not ended.
var ErrNoUpgrade = errors.New("loop: the request does not ask to switch protocols")

// "A client cannot begin using an upgraded protocol on the connection until it has
// completely sent the request message". RFC 9110, Section 7.8.
var errUpgradeBody = fmt.Errorf("%w before its body has ended: see AfterBody", ErrNoUpgrade)

// HandleUpgrade registers h for requests that ask to switch to protocol, such as
// "websocket": a GET with an Upgrade field over HTTP/1.1 (RFC 9110, Section 7.8),
// an extended CONNECT over HTTP/2 (RFC 8441), which clients are told of if there is
// such a route. pattern has no method: it is registered for both, with middleware as by
// [Server.Handle]. Other requests for it are answered with 400. Like that, it panics if there is anything wrong with the pattern.
//
// h is to call [Exchange.Switch], or to answer as for any request. Over HTTP/1.1 it is
// called behind a short request body, which is thrown away: see [Exchange.AfterBody].
func (srv *Server) HandleUpgrade(pattern, protocol string, h Handler, mw ...Middleware) {
	srv.root.HandleUpgrade(pattern, protocol, h, mw...)
}

// HandleUpgrade is [Server.HandleUpgrade] with the prefix of the group before the path
// of pattern.
func (g *Group) HandleUpgrade(pattern, protocol string, h Handler, mw ...Middleware) {
	srv := g.srv
	srv.mustNotRun(fmt.Sprintf("pattern %q is registered", pattern))
	if h == nil {
		panic(fmt.Sprintf("loop: pattern %q has no handler", pattern))
	}
	if strings.ContainsAny(pattern, " \t") {
		panic(fmt.Sprintf("loop: pattern %q of an upgrade has a method: it depends on the version of HTTP", pattern))
	}
	refuse := func(x *Exchange) { _ = x.SendError(400, "Bad Request: this is for clients that switch to "+protocol) }
	f := func(x *Exchange) {
		switch {
		case !strings.EqualFold(x.Upgrade(), protocol):
			x.AfterBody(refuse)
		case x.h1 != nil:
			x.AfterBody(h)
		default:
			h(x)
		}
	}
	g.add(KindUpgrade, "GET "+pattern, f, mw)
	g.add(KindUpgrade, "CONNECT "+pattern, f, mw)
	cfg := *srv.config()
	cfg.HTTP2.EnableConnectProtocol = true
	srv.live.Store(&cfg)
}

// Upgrade returns the protocol that the client asks to switch to, or "".
func (x *Exchange) Upgrade() string { return x.seen().Protocol }

// Switch takes the client's offer to switch protocols, with the response fields set
// so far: 101 over HTTP/1.1, 200 over HTTP/2. From then on, what is written to the
// Stream leaves as it is, and what the client sends is a request body like any
// other: [Exchange.OnBody], which is to be called next, gets it as it comes, with
// [Exchange.PauseBody] and all the rest. The end of the Stream ends the exchange,
// and over HTTP/1.1 the connection.
//
// No timeouts for bodies hold for it.
func (x *Exchange) Switch() (*Stream, error) {
	if err := x.beginSwitch(); err != nil {
		return nil, err
	}
	s := &Stream{of: x.handle(), loop: x.conn.loop, left: -1}
	return s, x.conn.protocol.writeSource(x, (*streamSource)(s))
}

// SwitchWriter is [Exchange.Switch] for a goroutine, which reads what the client
// sends from an [Exchange.BodyReader], and writes to the Writer.
func (x *Exchange) SwitchWriter() (*Writer, error) {
	if err := x.beginSwitch(); err != nil {
		return nil, err
	}
	w := x.newWriter(200, -1)
	return w, x.conn.protocol.writeSource(x, (*writerSource)(w))
}

func (x *Exchange) beginSwitch() error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	case x.answered:
		return ErrAnswered
	case x.request.Protocol == "" || x.request.Method == "HEAD":
		return ErrNoUpgrade
	case x.h1 != nil && !x.conn.protocol.requestEnded(x):
		return errUpgradeBody
	}
	x.fields = slices.DeleteFunc(x.fields, func(f message.Field) bool { return f.Name == "content-length" })
	fields := append(x.fields, message.Field{Name: "date", Value: x.conn.loop.date})
	x.conn.loop.touch(x.conn)
	if err := x.conn.protocol.writeSwitch(x, fields); err != nil {
		return err
	}
	x.answered, x.fields = true, fields
	if x.h1 != nil {
		x.beginTunnelBody()
	}
	return nil
}

// beginTunnelBody throws away what is there of the request body, behind which what comes
// is another one. If that was to wait it still is.
func (x *Exchange) beginTunnelBody() {
	held := x.body.hold
	if n := len(held.octets); n > 0 {
		x.conn.protocol.consume(x, n)
	}
	x.endBody()
	x.body.hold.on, x.body.hold.anew = held.on, held.anew
}
