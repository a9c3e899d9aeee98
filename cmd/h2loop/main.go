// Command h2loop serves a directory, or a page about itself, over HTTP/2 and
// HTTP/1.1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/systemd"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/vhost"
	"github.com/h2loop/h2loop/loop"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main; it returns the exit status.
func run(args []string, stdout io.Writer, stderr *os.File) int {
	environ := os.Environ()
	if len(args) > 0 && args[0] == "check" {
		return check(args[1:], environ, stdout, stderr)
	}
	opts, err := parseFlags(args, environ)
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
	cfg, err := opts.settings(environ)
	if err == nil {
		log, level := newLogger(stderr, cfg.Log)
		err = serve(&server{opts: opts, environ: environ, first: cfg, cfg: cfg, log: log, level: level})
	}
	if err != nil {
		tellProblems(unblocked(stderr, false), err)
		return 1
	}
	return 0
}

// A server is what is served, and how to know it anew.
type server struct {
	opts    *options
	environ []string
	first   *config.Config // with which the process has begun
	log     zerolog.Logger
	level   *levelSampler
	hosts   *vhost.Hosts
	loop    *loop.Server

	reloading sync.Mutex     // guards what follows
	cfg       *config.Config // that holds
	files     watched        // of certificates
	applied   chan struct{}  // tells tend of another configuration
}

// serve serves until a signal ends it.
func serve(s *server) error {
	signals := catchSignals(s.log)
	defer signals.stop()
	log := s.log
	who, err := s.findUser()
	if err != nil {
		return err
	}
	dev, err := s.devCertificate()
	if err != nil {
		return err
	}
	files := stampsOf(s.cfg.Files()) // before they are read
	s.files, s.applied = watched{files, files}, make(chan struct{}, 1)
	if s.hosts, err = vhost.New(s.cfg, dev, log); err != nil {
		return err
	}
	defer s.hosts.Close()
	cfg := s.loopConfig(s.cfg)
	if err := prepareAccessLog(s.cfg.AccessLog, who); err != nil {
		return err
	}
	access, err := openAccessLog(s.cfg.AccessLog, &cfg, &s.log)
	if err != nil {
		return err
	}
	if access != nil {
		defer access.Close() // when the loops have ended
	}
	watcher, err := openAdmin(s.cfg.Admin, &cfg, access, &s.log)
	if err != nil {
		return listenProblem(s.cfg, "admin", err)
	}
	defer watcher.close() // when the drain is over
	sockets := systemd.TakeSockets()
	defer sockets.Close()
	for i := range cfg.Listeners {
		ln := &cfg.Listeners[i]
		if name, ok := strings.CutPrefix(ln.Address, config.FDPrefix); ok {
			if ln.Listener, err = sockets.Listener(name); err != nil {
				return err
			}
		} else if ln.Network == "unix" {
			removeStale(ln.Address)
		}
	}
	if s.loop, err = loop.New(cfg); err != nil {
		return listenerProblem(s.cfg, err)
	}
	if err := s.become(who, access); err != nil {
		return err
	}
	watcher.watch(s.loop)
	routes := &routeList{srv: s.loop}
	if s.cfg.IsDemo() {
		s.hosts.RegisterOnly(s.loop)
		if err := addSite(routes); err != nil {
			return err
		}
	} else {
		s.hosts.Register(s.loop)
	}
	if s.opts.bench {
		addBench(routes)
	}
	if dev != nil {
		log.Info().Str("sha256", fingerprint(*dev)).Strs("names", namesOf(dev.Leaf)).
			Msg("made a certificate for development: clients do not trust it (curl needs -k)")
	}
	s.tellNotes(s.cfg)
	if names := strangers(s.environ); len(names) > 0 {
		log.Warn().Strs("variables", names).Msg("environment variables that mean nothing")
	}
	log.Info().Str("version", readVersion()).Str("config", s.opts.config).Str("directory", s.opts.dir).
		Strs("urls", urls(cfg.Listeners, s.loop.Addrs())).Msg("serving")
	manager := newManager(&log)
	defer manager.close()
	ctx, stop := signals.serve(log, manager.reloading(s.reload), access)
	defer stop()
	manager.watch(ctx, s.loop)
	context.AfterFunc(ctx, watcher.leave)
	go giveBackMemory(ctx, func() int { st := s.loop.Stats(); return st.Connections + st.OpenRequests })
	go s.tend(ctx.Done())
	if err := s.loop.Run(ctx); err != nil {
		return err
	}
	log.Info().Msg("ended")
	return nil
}

// tellNotes logs what is likely not meant.
func (s *server) tellNotes(cfg *config.Config) {
	for _, note := range cfg.Notes(time.Now()) {
		s.log.Warn().Msg(note.Error())
	}
}

// loopConfig returns how the server is to be as cfg says.
func (s *server) loopConfig(cfg *config.Config) loop.Config {
	c := cfg.Loop()
	c.Logger = &s.log
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		ln := loop.Listener{Address: string(l.Address), RedirectHTTPS: cfg.RedirectPort(l)}
		if path, ok := strings.CutPrefix(ln.Address, config.UnixPrefix); ok {
			ln.Network, ln.Address, ln.Mode = "unix", path, fs.FileMode(l.Mode)
		}
		if l.TLS {
			ln.TLS, ln.Handshakes = s.hosts.TLS(), s.hosts.Handshakes()
		}
		c.Listeners = append(c.Listeners, ln)
	}
	return c
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
			out[i] = config.UnixPrefix + addr.String() + " (" + scheme + ")"
		}
	}
	return out
}

// plain says in plain words why the server did not start, or ended.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"loop: ", "files: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// oneLine is plain for the log.
func oneLine(err error) string { return strings.ReplaceAll(plain(err), "\n", "; ") }
