// Command h2loop serves a directory, or a page about itself, over HTTP/2 and
// HTTP/1.1.
package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main; it returns the exit status.
func run(args []string, stdout io.Writer, stderr *os.File) int {
	opts, err := parseFlags(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "h2loop: %v (h2loop --help tells more)\n", err)
		return 1
	case opts.version:
		fmt.Fprintln(stdout, readVersion())
		return 0
	}
	if err := serve(opts, newLogger(stderr, opts.level, opts.logFormat)); err != nil {
		fmt.Fprintln(stderr, "h2loop:", plain(err))
		return 1
	}
	return 0
}

// serve serves until a signal ends it.
func serve(opts options, log zerolog.Logger) error {
	signals := catchSignals()
	defer signals.stop()
	cfg := loop.Config{Loops: opts.loops, Logger: &log, DrainTimeout: opts.drainTimeout}
	dir, err := opts.openDir(&log)
	if err != nil {
		return err
	}
	if dir != nil {
		defer dir.Close()
	}
	cert, err := opts.certificate()
	if err != nil {
		return err
	}
	tlsConfig := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	for _, addr := range opts.listen {
		cfg.Listeners = append(cfg.Listeners, listenerFor(addr, tlsConfig))
	}
	for _, addr := range opts.cleartext {
		ln := listenerFor(addr, nil)
		ln.RedirectHTTPS = opts.redirectPort()
		cfg.Listeners = append(cfg.Listeners, ln)
	}
	srv, err := loop.New(cfg)
	if err != nil {
		return err
	}
	routes := &routeList{srv: srv}
	if dir != nil {
		srv.Handle("/{path...}", dir.Handler("path"))
	} else if err := addSite(routes); err != nil {
		return err
	}
	if opts.bench {
		addBench(routes)
	}
	if opts.cert == "" && len(opts.listen) > 0 {
		log.Info().Str("sha256", fingerprint(cert)).Strs("names", namesOf(cert.Leaf)).
			Msg("made a certificate for development: clients do not trust it (curl needs -k)")
	}
	log.Info().Str("version", readVersion()).Str("directory", opts.dir).
		Strs("urls", urls(cfg.Listeners, srv.Addrs())).Msg("serving")
	ctx, stop := signals.serve(log, func() error { return reload(srv, opts) })
	defer stop()
	go giveBackMemory(ctx)
	if err := srv.Run(ctx); err != nil {
		return err
	}
	log.Info().Msg("ended")
	return nil
}

// unixPrefix begins the address of a unix socket.
const unixPrefix = "unix:"

// listenerFor describes the listener at addr.
func listenerFor(addr string, tlsConfig *tls.Config) loop.Listener {
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		removeStale(path)
		return loop.Listener{Network: "unix", Address: path, TLS: tlsConfig}
	}
	return loop.Listener{Address: addr, TLS: tlsConfig}
}

// removeStale removes the unix socket of a server that is gone.
func removeStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}

// urls returns where to find the server.
func urls(listeners []loop.Listener, addrs []net.Addr) []string {
	out := make([]string, len(addrs))
	for i, addr := range addrs {
		scheme := "http"
		if listeners[i].TLS != nil {
			scheme = "https"
		}
		switch a := addr.(type) {
		case *net.TCPAddr:
			host := a.String()
			if a.IP.IsUnspecified() {
				host = fmt.Sprintf("localhost:%d", a.Port)
			}
			out[i] = scheme + "://" + host + "/"
		default:
			out[i] = unixPrefix + addr.String() + " (" + scheme + ")"
		}
	}
	return out
}

// listenHints say what to do about an address that cannot be had.
var listenHints = map[syscall.Errno]string{
	syscall.EACCES:     " (ports below 1024 are for root, or for CAP_NET_BIND_SERVICE)",
	syscall.EADDRINUSE: " (--listen and --listen-cleartext say where else)",
}

// plain says in plain words why the server did not start, or ended.
func plain(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "listen" && op.Addr != nil {
		cause, hint := op.Err, ""
		if errno, ok := errors.AsType[syscall.Errno](cause); ok {
			cause = errno
			hint = listenHints[errno]
		}
		return fmt.Sprintf("cannot listen on %s: %v%s", op.Addr, cause, hint)
	}
	text := err.Error()
	for _, prefix := range []string{"loop: ", "files: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
