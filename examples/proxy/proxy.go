package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// A proxy hands requests on to a server behind it. Bodies go through as they come, both
// ways, with trailers, and so does what follows a switch of protocols, as to WebSockets.
type proxy struct {
	httputil.ReverseProxy
	transport *http.Transport
	log       *slog.Logger
}

// newProxy returns a proxy to the server at behind, which may take as long as patience
// to begin an answer.
func newProxy(behind *url.URL, patience time.Duration, log *slog.Logger) *proxy {
	p := &proxy{log: log, transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   patience,
		ResponseHeaderTimeout: patience,
		MaxIdleConnsPerHost:   256, // the default is for clients
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true, // what is compressed is the client's affair
	}}
	p.ReverseProxy = httputil.ReverseProxy{
		Transport:     p.transport,
		FlushInterval: -1, // at once: who streams does so for a reason
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler:  p.fail,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(behind)
			r.Out.Host = r.In.Host       // so that links and redirects lead here
			r.SetXForwarded()            // in place of what the client says of itself
			r.Out.Trailer = r.In.Trailer // not a copy: they come behind the body
		},
	}
	return p
}

// fail answers for the server behind.
func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		panic(http.ErrAbortHandler) // the client has gone
	case errors.As(err, &timeout) && timeout.Timeout():
		http.Error(w, "the server behind takes too long", http.StatusGatewayTimeout)
	default:
		http.Error(w, "the server behind cannot be reached", http.StatusBadGateway)
	}
	p.log.Warn("no answer", "method", r.Method, "path", r.URL.Path, "err", err)
}
