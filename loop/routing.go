package loop

import (
	"fmt"
	"slices"
	"strings"
)

// A Kind says where the handler of a route runs.
type Kind string

// The kinds of routes.
const (
	KindLoop     Kind = "loop"     // [Server.Handle]
	KindBlocking Kind = "blocking" // [Server.HandleBlocking]
	KindHTTP     Kind = "http"     // [Server.HandleHTTP]
	KindUpgrade  Kind = "upgrade"  // [Server.HandleUpgrade]: for GET, and for CONNECT
)

// A Route is a pattern that is registered.
type Route struct {
	Pattern string
	Kind    Kind
}

// A Middleware makes a handler that does something before, in place of, or after
// another. It runs on the loop, whatever kind the route is of, and the route is known:
// [Exchange.Pattern] and [Exchange.PathValue] tell; the pattern is "" for a request that no
// route takes, which next refuses or redirects. It may answer and not call next;
// what it sets of the response holds unless next changes it. For what takes time, see
// [Exchange.Suspend].
//
// That next returns does not mean that the request is answered: see [Hooks] for that.
type Middleware func(next Handler) Handler

// A Group is a part of a server's routes: those below a path, with middleware of their
// own.
type Group struct {
	srv        *Server
	parent     *Group // nil for that of the server
	prefix     string // with those of the parents
	middleware []Middleware
}

// A registration is what the server knows of a route until it runs.
type registration struct {
	Route
	group      *Group
	middleware []Middleware
}

// Handle registers h for pattern, which has the syntax and the precedence of
// http.ServeMux, with middleware for this route, the outermost first. It panics if the
// pattern is malformed or conflicts with another, and must not be called once Run has
// begun.
func (srv *Server) Handle(pattern string, h Handler, mw ...Middleware) {
	srv.root.Handle(pattern, h, mw...)
}

// Use has middleware run for every request, the outermost first: also for those that
// no route takes, for routes that were registered before, and around the middleware of
// groups and routes. Only redirects to HTTPS, see [Listener.RedirectHTTPS], go past it.
// It must not be called once Run has begun.
func (srv *Server) Use(mw ...Middleware) { srv.root.Use(mw...) }

// Group returns the routes whose paths begin with prefix, "/api" for example.
func (srv *Server) Group(prefix string) *Group { return srv.root.Group(prefix) }

// Routes returns what is registered, in the order in which it was.
func (srv *Server) Routes() []Route {
	routes := make([]Route, len(srv.registered))
	for i, r := range srv.registered {
		routes[i] = r.Route
	}
	return routes
}

// NotFound sets what answers requests that no route takes, in place of a plain 404. The
// middleware of the server runs before. It must not be called once Run has begun.
func (srv *Server) NotFound(h Handler) {
	srv.mustNotRun("NotFound is called")
	srv.notFound = h
}

// Handle is [Server.Handle] with the prefix of the group before the path of pattern:
// "GET /items" becomes "GET /api/items".
func (g *Group) Handle(pattern string, h Handler, mw ...Middleware) {
	g.add(KindLoop, pattern, h, mw)
}

// Use is [Server.Use] for the routes of the group, and of the groups in it.
func (g *Group) Use(mw ...Middleware) {
	g.srv.mustNotRun("Use is called")
	g.middleware = append(g.middleware, mw...)
}

// Group returns a group in g. Its prefix comes behind that of g, its middleware runs
// within that of g.
func (g *Group) Group(prefix string) *Group {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" && prefix[0] != '/' {
		panic(fmt.Sprintf("loop: group %q does not begin with a slash", prefix))
	}
	return &Group{srv: g.srv, parent: g, prefix: g.prefix + prefix}
}

// add registers h.
func (g *Group) add(kind Kind, pattern string, h Handler, mw []Middleware) {
	srv := g.srv
	pattern = prefixed(pattern, g.prefix)
	if h == nil {
		panic(fmt.Sprintf("loop: pattern %q has no handler", pattern))
	}
	srv.mustNotRun(fmt.Sprintf("pattern %q is registered", pattern))
	if err := srv.routes.Add(pattern, h); err != nil {
		panic("loop: " + err.Error())
	}
	srv.registered = append(srv.registered, registration{Route{pattern, kind}, g, slices.Clone(mw)})
}

// prefixed returns pattern with prefix before its path.
func prefixed(pattern, prefix string) string {
	at := strings.IndexAny(pattern, " \t") + 1 // behind the method
	slash := strings.IndexByte(pattern[at:], '/')
	if prefix == "" || slash < 0 {
		return pattern
	}
	at += slash
	return pattern[:at] + prefix + pattern[at:]
}

// assemble puts the middleware around the handlers, once all of it is known.
func (srv *Server) assemble() {
	handlers := srv.routes.Values()
	for i, r := range srv.registered {
		handlers[i] = srv.handler(r.group.wrap(wrap(handlers[i], r.middleware)))
		srv.log.Debug().Str("pattern", r.Pattern).Str("kind", string(r.Kind)).Msg("route")
	}
	srv.refuse = srv.handler(srv.root.wrap(refuseRequest))
}

// wrap puts the middleware of g, and of the groups that it is in, around h.
func (g *Group) wrap(h Handler) Handler {
	for ; g != nil; g = g.parent {
		h = wrap(h, g.middleware)
	}
	return h
}

func wrap(h Handler, mw []Middleware) Handler {
	for _, m := range slices.Backward(mw) {
		h = m(h)
	}
	return h
}
