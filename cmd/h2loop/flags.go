package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

const usage = `h2loop - an event-loop HTTP/2 server

Usage:
  h2loop [flags] [DIR]

Without DIR, h2loop serves a page about itself. With DIR, it serves the files
in that directory: index.html for a path that ends in a slash, ranges and
conditional requests, never a name that begins with a dot, nothing outside DIR.

Flags:
  --listen ADDR             where to serve HTTP/2 over TLS; "" for nowhere
                            (default :8443)
  --listen-cleartext ADDR   where to serve HTTP/2 in cleartext, to clients that
                            know that they find it; "" for nowhere
                            (default :8080)
  --cert FILE               certificate chain for TLS, in PEM; without it, one
                            for development is made in memory
  --key FILE                private key of that certificate, in PEM
  --loops N                 number of event loops; 0 for one per CPU that the
                            process may use (default 0)
  --bench                   also serve /bench/hello, /bench/1k, /bench/64k,
                            /bench/10m, /bench/204 and, for POST, /bench/upload
  --log-level LEVEL         debug, info, warn or error (default info)
  --version                 print the version and exit
  --help                    print this text and exit

ADDR is host:port, :port for all addresses, or unix:PATH for a unix socket.
--listen and --listen-cleartext may be given several times.

Examples:
  h2loop                                     look at https://localhost:8443/
  h2loop public                              serve the directory public
  h2loop --cert cert.pem --key key.pem public
  h2loop --listen '' --listen-cleartext unix:/run/h2loop.sock public
  h2loop --bench --loops 1

  curl -k https://localhost:8443/
  curl --http2-prior-knowledge http://localhost:8080/

Signals:
  SIGTERM, SIGINT   take no new connections, let the requests that are being
                    served end for up to 30 s, then exit with status 0; the
                    second such signal ends the process at once, with status 1

Exit status: 0 after a signal; 1 if the server could not start, or failed.
`

// options are what the command line says.
type options struct {
	dir       string // "" for the page
	listen    []string
	cleartext []string
	cert, key string
	loops     int
	bench     bool
	version   bool
	level     zerolog.Level
}

const (
	defaultListen    = ":8443"
	defaultCleartext = ":8080"
)

// parseFlags reads the command line. The error is [flag.ErrHelp] if help is
// asked for.
func parseFlags(args []string) (options, error) {
	opts := options{listen: []string{defaultListen}, cleartext: []string{defaultCleartext}}
	flags := flag.NewFlagSet("h2loop", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // we tell, in one line
	flags.Usage = func() {}
	flags.Var(&addrList{list: &opts.listen}, "listen", "")
	flags.Var(&addrList{list: &opts.cleartext}, "listen-cleartext", "")
	flags.StringVar(&opts.cert, "cert", "", "")
	flags.StringVar(&opts.key, "key", "", "")
	flags.IntVar(&opts.loops, "loops", 0, "")
	flags.BoolVar(&opts.bench, "bench", false, "")
	flags.BoolVar(&opts.version, "version", false, "")
	level := flags.String("log-level", "info", "")

	rest, err := parseAll(flags, args)
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
	case opts.loops < 0:
		return opts, errors.New("--loops must not be negative")
	case len(opts.listen)+len(opts.cleartext) == 0:
		return opts, errors.New("--listen and --listen-cleartext are both empty: nowhere to serve")
	}
	return opts, nil
}

var dashed = regexp.MustCompile(` -([a-z])`)

// parseAll parses flags before, between and behind the other arguments, which
// it returns; behind "--" there are no flags.
func parseAll(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
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

func parseLevel(s string) (zerolog.Level, error) {
	levels := []string{"debug", "info", "warn", "error"}
	if !slices.Contains(levels, s) {
		return 0, fmt.Errorf("--log-level is %q: it must be %s", s, strings.Join(levels, ", "))
	}
	return zerolog.ParseLevel(s)
}
