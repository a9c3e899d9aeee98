package main

import (
	"encoding"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

const usage = `NAME
  h2loop - an event-loop server for HTTP/2 and HTTP/1.1

SYNOPSIS
  h2loop [flags] [DIR]
  h2loop check [flags] [DIR]

DESCRIPTION
  Without DIR, h2loop serves a page about itself and a few routes to try.

  With DIR, it serves the files in that directory: index.html for a path that
  ends in a slash, ranges and conditional requests, and a.css.br, a.css.zst or
  a.css.gz in place of a.css to clients that like that, unless it is older by
  whole seconds; never a name that begins with a dot, but for /.well-known/, and
  nothing outside DIR. Symbolic links are followed if they are relative and do
  not lead out; an absolute one is 404, also if it points into DIR. Changes of a
  file are seen within a second. DIR itself is opened once: where it is a link
  that points elsewhere now, SIGHUP has it opened anew.

  With --config, it serves what a file says: listeners, sites by the names of
  hosts, TLS, limits. Environment variables go over the file, and flags over
  both; what they say of DIR and of a certificate is about the default site.

  h2loop check finds what is wrong with all of that, and does not serve.

FLAGS
 All
  --config FILE            the configuration, in TOML; see docs/configuration.md

 Where to serve
  --listen ADDR            over TLS; "" for nowhere (default :8443)
  --listen-cleartext ADDR  in cleartext; "" for nowhere (default :8080)
  --redirect-https         answer what comes in cleartext with a redirect to
                           https on the port of the first --listen;
                           --redirect-https=PORT names another

  ADDR is host:port, :port for all addresses, unix:PATH for a unix socket, or
  fd:NAME for one that systemd hands over; fd:0 is the first of these.
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

  --user USER              become this user, by name or number, once it listens
                           and has read certificates and keys; for root only
  --group GROUP            and this group (default that of the user)

 Telling
  --log-level LEVEL        debug, info, warn or error (default info)
  --log-format FORMAT      text, json, or auto: text on a terminal and JSON
                           elsewhere (default auto)
  --admin ADDR             serve metrics, health, profiles and a list of the
                           connections, in cleartext HTTP, to operators; without
                           a host to this one alone (default nowhere)
  --access-log FILE        a line for each request; "-" for standard output
  --access-log-format FORMAT
                           json, or Apache's common or combined (default json)
  --version                print version, commit and platform, and exit
  --help                   print this text, and exit

SIGNALS
  SIGTERM, SIGINT  close the listeners, let the requests that are being served
                   end within --drain-timeout, and exit; a second one ends the
                   process at once, with status 1; before it serves, the first
                   does, with status 0
  SIGHUP           read the configuration and the certificates anew; connections
                   and requests go on, and if there is anything wrong with the
                   new ones, the old ones stay
  SIGUSR1          open the file of --access-log anew, once it has been moved
                   away; no line is lost

ENVIRONMENT
  H2LOOP_...       as the flag of that name: H2LOOP_LISTEN, H2LOOP_CERT, and
                   H2LOOP_DIR for DIR; or as a field of the configuration:
                   H2LOOP_LIMITS_IDLE_TIMEOUT
  NO_COLOR         if it is not empty, log lines have no colours
  GOMAXPROCS       how many CPUs to use

EXIT STATUS
  0  ended by a signal, also if the time to drain was over; nothing is wrong
  1  could not start, failed, was ended by a second signal; something is wrong

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

// options are what the command line says, and the environment in its place.
type options struct {
	config    string
	dir       string // "" for what the configuration says
	listen    []config.Address
	cleartext []config.Address
	redirect  config.Redirect
	cert, key string
	list      bool
	compress  bool
	notFound  string
	cache     []config.CacheRule
	loops     config.Loops
	drain     config.Duration
	level     config.Level
	format    config.Format
	access    config.AccessLog
	admin     string // "" for nowhere
	user      string // "" for who it is
	group     string
	bench     bool
	version   bool

	// from tells of each flag that was set by what name: its own, or that of a
	// variable. now makes such a name.
	from map[string]string
	now  func(flag string) string
}

// newFlags returns the flags, which set opts.
func newFlags() (flags *flag.FlagSet, opts *options) {
	opts = &options{from: map[string]string{}, now: func(name string) string { return "--" + name }}
	flags = flag.NewFlagSet("h2loop", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // we tell, in one line
	flags.Usage = func() {}
	for name, value := range map[string]flag.Value{
		"config":            (*textFlag)(&opts.config),
		"listen":            &addrList{list: &opts.listen},
		"listen-cleartext":  &addrList{list: &opts.cleartext},
		"redirect-https":    switchFlag{valueFlag{&opts.redirect}},
		"cert":              (*textFlag)(&opts.cert),
		"key":               (*textFlag)(&opts.key),
		"list":              (*boolFlag)(&opts.list),
		"compress":          (*boolFlag)(&opts.compress),
		"not-found":         (*textFlag)(&opts.notFound),
		"cache-control":     (*cacheRules)(&opts.cache),
		"loops":             valueFlag{&opts.loops},
		"drain-timeout":     valueFlag{&opts.drain},
		"log-level":         valueFlag{&opts.level},
		"log-format":        valueFlag{&opts.format},
		"access-log":        (*textFlag)(&opts.access.File),
		"access-log-format": valueFlag{&opts.access.Format},
		"admin":             (*textFlag)(&opts.admin),
		"user":              (*textFlag)(&opts.user),
		"group":             (*textFlag)(&opts.group),
		"bench":             (*boolFlag)(&opts.bench),
		"version":           (*boolFlag)(&opts.version),
	} {
		flags.Var(&noted{Value: value, name: name, opts: opts}, name, "")
	}
	return flags, opts
}

// A noted flag notes that it was set, and by what. What is given several times replaces
// what the environment says.
type noted struct {
	flag.Value
	name string
	opts *options
}

func (n *noted) Set(text string) error {
	by := n.opts.now(n.name)
	if before := n.opts.from[n.name]; before != by {
		if list, ok := n.Value.(interface{ clear() }); ok {
			list.clear()
		}
		n.opts.from[n.name] = by
	}
	return n.Value.Set(text)
}

// IsBoolFlag says whether the flag may stand alone.
func (n *noted) IsBoolFlag() bool {
	b, ok := n.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func (n *noted) String() string { return "" }

type (
	textFlag string
	boolFlag bool

	// A valueFlag reads itself.
	valueFlag struct{ encoding.TextUnmarshaler }

	// A switchFlag does so too, and may stand alone.
	switchFlag struct{ valueFlag }

	// An addrList takes an address each time; "" is none.
	addrList struct{ list *[]config.Address }

	// A cacheRules takes "PATTERN: VALUE", or a value for all, each time.
	cacheRules []config.CacheRule
)

func (f *textFlag) String() string     { return "" }
func (f *boolFlag) String() string     { return "" }
func (f *boolFlag) IsBoolFlag() bool   { return true }
func (f valueFlag) String() string     { return "" }
func (f switchFlag) IsBoolFlag() bool  { return true }
func (f *addrList) String() string     { return "" }
func (f *addrList) clear()             { *f.list = nil }
func (f *cacheRules) String() string   { return "" }
func (f *cacheRules) clear()           { *f = nil }
func (f valueFlag) Set(s string) error { return f.UnmarshalText([]byte(s)) }

func (f *textFlag) Set(s string) error {
	*f = textFlag(s)
	return nil
}

func (f *boolFlag) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("it must be true or false")
	}
	*f = boolFlag(on)
	return nil
}

func (f *addrList) Set(s string) error {
	if s == "" {
		return nil
	}
	var addr config.Address
	if err := addr.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	*f.list = append(*f.list, addr)
	return nil
}

func (f *cacheRules) Set(s string) error {
	pattern, value, ok := strings.Cut(s, ": ")
	if !ok {
		pattern, value = "", s
	}
	if value = strings.TrimSpace(value); value == "" {
		return errors.New("there is no value")
	}
	*f = append(*f, config.CacheRule{Match: strings.TrimSpace(pattern), Value: value})
	return nil
}

// parseFlags reads the command line. The error is [flag.ErrHelp] if help is asked for.
func parseFlags(args, environ []string) (*options, error) {
	flags, opts := newFlags()
	if err := opts.readEnvironment(flags, environ); err != nil {
		return nil, err
	}
	rest, err := parseAll(flags, args)
	if err == nil {
		err = misunderstanding(args, rest)
	}
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 1:
		return nil, fmt.Errorf("one directory at most, and there are %d: %s", len(rest), strings.Join(rest, " "))
	case len(rest) == 1 && rest[0] == "":
		return nil, errors.New("the directory has no name")
	case len(rest) == 1:
		opts.dir, opts.from["dir"] = rest[0], "DIR"
	}
	switch {
	case opts.cert != "" && opts.key == "":
		return nil, fmt.Errorf("%s needs --key", opts.from["cert"])
	case opts.key != "" && opts.cert == "":
		return nil, fmt.Errorf("%s needs --cert", opts.from["key"])
	}
	return opts, nil
}

// misunderstanding tells of arguments that would be a directory, which is not there, and are
// meant to be something else.
func misunderstanding(args, rest []string) error {
	isMissing := func(name string) bool {
		_, err := os.Stat(name)
		return slices.Contains(rest, name) && errors.Is(err, fs.ErrNotExist)
	}
	for i, arg := range args[:max(len(args)-1, 0)] {
		if arg != "--redirect-https" && arg != "-redirect-https" {
			continue
		}
		next := args[i+1]
		if _, err := strconv.ParseUint(next, 10, 16); err == nil && isMissing(next) {
			return fmt.Errorf("%s needs an equals sign before the port: --redirect-https=%s", arg, next)
		}
	}
	if len(rest) == 1 && (rest[0] == "help" || rest[0] == "version") && isMissing(rest[0]) {
		return fmt.Errorf("there is no directory %q: is it --%[1]s?", rest[0])
	}
	return nil
}

// variableOf returns the environment variable that stands for a flag.
func variableOf(name string) string {
	return config.EnvPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// dirVariable stands for DIR.
const dirVariable = config.EnvPrefix + "DIR"

// flagVariables returns the variables that stand for flags, but for those that stand for a
// field of the configuration too.
func flagVariables(flags *flag.FlagSet) (names []string) {
	fields := config.Variables()
	flags.VisitAll(func(f *flag.Flag) {
		if name := variableOf(f.Name); f.Name != "version" && !slices.Contains(fields, name) {
			names = append(names, name)
		}
	})
	return append(names, dirVariable)
}

// readEnvironment sets what flags may replace.
func (opts *options) readEnvironment(flags *flag.FlagSet, environ []string) (err error) {
	now := opts.now
	defer func() { opts.now = now }()
	opts.now = variableOf
	known := flagVariables(flags)
	for _, s := range environ {
		name, value, _ := strings.Cut(s, "=")
		if value == "" || !slices.Contains(known, name) {
			continue
		}
		if name == dirVariable {
			opts.dir, opts.from["dir"] = value, name
			continue
		}
		values := []string{value}
		flagName := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, config.EnvPrefix), "_", "-"))
		switch flagName {
		case "listen", "listen-cleartext":
			values = strings.Split(value, ",")
		case "cache-control":
			values = strings.Split(value, "\n")
		}
		for _, v := range values {
			if err := flags.Set(flagName, strings.TrimSpace(v)); err != nil {
				return fmt.Errorf("%s is %q: %w", name, value, err)
			}
		}
	}
	return nil
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
			// Package flag knows the value, and spells the flag -name. One that may stand
			// alone is a boolean to it.
			text := strings.Replace(err.Error(), "invalid boolean value ", "invalid value ", 1)
			return nil, errors.New(dashed.ReplaceAllString(text, " --$1"))
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
