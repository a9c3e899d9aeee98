package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop/files"
)

const usage = `NAME
  h2loop - an event-loop server for HTTP/2 and HTTP/1.1

SYNOPSIS
  h2loop [flags] [DIR]

DESCRIPTION
  Without DIR, h2loop serves a page about itself and a few routes to try.

  With DIR, it serves the files in that directory: index.html for a path that
  ends in a slash, ranges and conditional requests, and a.css.br, a.css.zst or
  a.css.gz in place of a.css to clients that like that; never a name that begins
  with a dot, and nothing outside DIR, wherever symbolic links point. Changes of
  a file are seen within a second.

FLAGS
 Where to serve
  --listen ADDR            over TLS; "" for nowhere (default :8443)
  --listen-cleartext ADDR  in cleartext; "" for nowhere (default :8080)
  --redirect-https         answer cleartext HTTP/1.1 with a redirect to https on
                           the port of the first --listen; --redirect-https=PORT
                           names another

  ADDR is host:port, :port for all addresses, or unix:PATH for a unix socket.
  Both flags may be given several times. Over TLS the client chooses HTTP/2 or
  HTTP/1.1 by ALPN, in cleartext by what it sends first.

 TLS
  --cert FILE              certificate chain, in PEM; without it a certificate
                           for development is made in memory
  --key FILE               private key of that certificate, in PEM

 The directory
  --list                   list what is in a directory without an index.html
  --compress               compress text, with zstd or gzip as the client likes
  --cache-control RULE     "VALUE" for all files, or "PATTERN: VALUE": "assets/"
                           for those below a directory, "*.css" for names; may
                           be given several times, and the first that fits holds
  --not-found FILE         the page, in DIR, for what is not there; if its name
                           begins with a dot, it is not served otherwise

 Running
  --loops N                event loops; 0 for one per CPU that the process may
                           use (default 0)
  --drain-timeout TIME     how long open requests may take to end once a signal
                           has come, as 30s or 2m (default 30s)
  --bench                  also serve /bench/hello, /bench/varied/{name},
                           /bench/1k, /bench/64k, /bench/10m, /bench/204 and,
                           for POST, /bench/upload

 Telling
  --log-level LEVEL        debug, info, warn or error (default info)
  --log-format FORMAT      text, json, or auto: text on a terminal and JSON
                           elsewhere (default auto)
  --version                print version, commit and platform, and exit
  --help                   print this text, and exit

SIGNALS
  SIGTERM, SIGINT  close the listeners, let the requests that are being served
                   end within --drain-timeout, and exit; a second one ends the
                   process at once, with status 1
  SIGHUP           read the files of --cert and --key anew; connections go on,
                   and if the new ones are of no use, the old ones stay

ENVIRONMENT
  NO_COLOR         if it is not empty, log lines have no colours
  GOMAXPROCS       how many CPUs to use

EXIT STATUS
  0  ended by a signal, also if the time to drain was over
  1  could not start, failed, or was ended by a second signal

EXAMPLES
  h2loop
      then look at https://localhost:8443/
  h2loop public
      serve the directory public
  h2loop --cert cert.pem --key key.pem --listen :443 public
      serve it to the world
  h2loop --listen '' --listen-cleartext unix:/run/h2loop.sock public
      serve it behind a proxy
  h2loop --list --compress --cache-control '*.css: max-age=3600' public
      with a list of files, compression, and style sheets that caches keep
  curl -k https://localhost:8443/hello
  curl http://localhost:8080/hello
`

// options are what the command line says.
type options struct {
	dir       string // "" for the page
	files     files.Options
	listen    []string
	cleartext []string
	cert, key string
	redirect  redirectFlag
	loops     int
	bench     bool
	version   bool
	level     zerolog.Level
	logFormat string

	drainTimeout time.Duration
}

const (
	defaultListen    = ":8443"
	defaultCleartext = ":8080"
)

// newFlags returns the flags, which set opts, and the log level as text.
func newFlags() (flags *flag.FlagSet, opts *options, level *string) {
	opts = &options{listen: []string{defaultListen}, cleartext: []string{defaultCleartext}}
	flags = flag.NewFlagSet("h2loop", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // we tell, in one line
	flags.Usage = func() {}
	flags.Var(&addrList{list: &opts.listen}, "listen", "")
	flags.Var(&addrList{list: &opts.cleartext}, "listen-cleartext", "")
	flags.Var(&opts.redirect, "redirect-https", "")
	flags.StringVar(&opts.cert, "cert", "", "")
	flags.StringVar(&opts.key, "key", "", "")
	flags.IntVar(&opts.loops, "loops", 0, "")
	flags.BoolVar(&opts.bench, "bench", false, "")
	flags.BoolVar(&opts.version, "version", false, "")
	flags.DurationVar(&opts.drainTimeout, "drain-timeout", 30*time.Second, "")
	addDirFlags(flags, &opts.files)
	flags.StringVar(&opts.logFormat, "log-format", "auto", "")
	return flags, opts, flags.String("log-level", "info", "")
}

// parseFlags reads the command line. The error is [flag.ErrHelp] if help is
// asked for.
func parseFlags(args []string) (opts options, err error) {
	flags, set, level := newFlags()
	rest, err := parseAll(flags, args)
	opts = *set
	if err != nil {
		return opts, err
	}
	if opts.level, err = parseLevel(*level); err != nil {
		return opts, err
	}
	switch {
	case len(rest) > 1:
		return opts, fmt.Errorf("one directory at most, and there are %d: %s", len(rest), strings.Join(rest, " "))
	case len(rest) == 1 && rest[0] == "":
		return opts, errors.New("the directory has no name")
	case len(rest) == 1:
		opts.dir = rest[0]
	}
	switch {
	case opts.cert != "" && opts.key == "":
		return opts, errors.New("--cert needs --key")
	case opts.key != "" && opts.cert == "":
		return opts, errors.New("--key needs --cert")
	case opts.drainTimeout <= 0:
		return opts, errors.New("--drain-timeout must be more than 0")
	case !slices.Contains(logFormats, opts.logFormat):
		return opts, fmt.Errorf("--log-format is %q: it must be %s", opts.logFormat, strings.Join(logFormats, ", "))
	case opts.loops < 0:
		return opts, errors.New("--loops must not be negative")
	case opts.redirect.on && opts.redirectPort() == 0:
		return opts, errors.New("--redirect-https needs a PORT, or a --listen that has one")
	case len(opts.listen)+len(opts.cleartext) == 0:
		return opts, errors.New("--listen and --listen-cleartext are both empty: nowhere to serve")
	}
	return opts, opts.checkDir()
}

var dashed = regexp.MustCompile(` -([a-z])`)

// parseAll parses flags before, between and behind the other arguments, which
// it returns; behind "--" there are no flags.
func parseAll(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
				if near := nearest(flags, name); near != "" {
					return nil, fmt.Errorf("unknown flag --%s: is it --%s?", name, near)
				}
				return nil, fmt.Errorf("unknown flag --%s", name)
			}
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			// Package flag knows the value, and spells the flag -name.
			return nil, errors.New(dashed.ReplaceAllString(err.Error(), " --$1"))
		}
		left := flags.Args()
		parsed := len(args) - len(left)
		if len(left) == 0 || parsed > 0 && args[parsed-1] == "--" {
			return append(rest, left...), nil
		}
		rest = append(rest, left[0])
		args = left[1:]
	}
}

// nearest returns the flag that name may be meant to be, or "".
func nearest(flags *flag.FlagSet, name string) (near string) {
	least := 3 // edits are too many
	flags.VisitAll(func(f *flag.Flag) {
		if d := edits(name, f.Name); d < least || strings.HasPrefix(f.Name, name) {
			near, least = f.Name, d
		}
	})
	return near
}

// edits returns how many letters are to be added, removed or changed to make b of
// a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// An addrList is a flag that takes an address each time. The first replaces
// the default.
type addrList struct {
	list *[]string
	set  bool
}

func (a *addrList) String() string { return "" }

func (a *addrList) Set(addr string) error {
	if !a.set {
		a.set, *a.list = true, nil
	}
	if addr != "" {
		*a.list = append(*a.list, addr)
	}
	return nil
}

// A redirectFlag is on or off, and may have a port.
type redirectFlag struct {
	on   bool
	port int // 0 for that of the first TLS listener
}

func (r *redirectFlag) String() string   { return "" }
func (r *redirectFlag) IsBoolFlag() bool { return true } // it may stand alone

func (r *redirectFlag) Set(value string) error {
	if on, err := strconv.ParseBool(value); err == nil && value != "1" && value != "0" {
		*r = redirectFlag{on: on}
		return nil
	}
	port, err := strconv.Atoi(value)
	if err != nil || port < 1 || port > 65535 {
		return errors.New("it must be a port")
	}
	*r = redirectFlag{on: true, port: port}
	return nil
}

// redirectPort returns the port that cleartext HTTP/1.1 is redirected to; 0 for
// none.
func (opts *options) redirectPort() int {
	if !opts.redirect.on || opts.redirect.port > 0 {
		return opts.redirect.port
	}
	for _, addr := range opts.listen {
		if _, port, err := net.SplitHostPort(addr); err == nil {
			n, _ := net.LookupPort("tcp", port)
			return n
		}
	}
	return 0
}

var logFormats = []string{"auto", "text", "json"}

func parseLevel(s string) (zerolog.Level, error) {
	levels := []string{"debug", "info", "warn", "error"}
	if !slices.Contains(levels, s) {
		return 0, fmt.Errorf("--log-level is %q: it must be %s", s, strings.Join(levels, ", "))
	}
	return zerolog.ParseLevel(s)
}
