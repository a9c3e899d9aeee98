package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

const (
	defaultListen    = ":8443"
	defaultCleartext = ":8080"
)

// settings returns the configuration that the options name, with the environment and
// the options over it. It has been checked for a start.
func (opts *options) settings(environ []string) (*config.Config, error) {
	return opts.settingsBy((*config.Config).CheckStart, environ)
}

// settingsBy is settings, and has the configuration checked by check.
func (opts *options) settingsBy(check func(*config.Config) config.Problems, environ []string) (*config.Config, error) {
	cfg := &config.Config{}
	if opts.config != "" {
		var err error
		if cfg, err = config.Read(opts.config); err != nil {
			return nil, err
		}
	}
	if problems := cfg.SetEnvironment(environ); len(problems) > 0 {
		return nil, problems
	}
	opts.setListeners(cfg)
	opts.setSite(cfg)
	for name, set := range map[string]func(){
		"loops":         func() { cfg.Loops = opts.loops },
		"drain-timeout": func() { cfg.DrainTimeout = opts.drain },
		"log-level":     func() { cfg.Log.Level = opts.level },
		"log-format":    func() { cfg.Log.Format = opts.format },
		"admin": func() {
			cfg.Admin = opts.admin
			cfg.Came("admin", opts.from["admin"])
		},
		"user": func() {
			cfg.User = opts.user
			cfg.Came("user", opts.from["user"])
		},
		"group": func() {
			cfg.Group = opts.group
			cfg.Came("group", opts.from["group"])
		},
		"access-log": func() {
			cfg.AccessLog.File = opts.access.File
			cfg.Came("access_log.file", opts.from["access-log"])
		},
		"access-log-format": func() { cfg.AccessLog.Format = opts.access.Format },
	} {
		if opts.isSet(name) {
			set()
		}
	}
	if len(cfg.Listeners) == 0 && opts.config != "" {
		return nil, config.Problems{{Origin: config.Origin{File: opts.config}, Text: "no listener: nowhere to serve"}}
	}
	if len(cfg.Listeners) == 0 {
		return nil, errors.New("--listen and --listen-cleartext are both empty: nowhere to serve")
	}
	if problems := check(cfg); len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

func (opts *options) isSet(flag string) bool { return opts.from[flag] != "" }

// setListeners replaces the listeners for TLS, those in cleartext, or both.
func (opts *options) setListeners(cfg *config.Config) {
	if opts.isSet("listen") {
		cfg.SetListeners(true, opts.listen, opts.from["listen"])
	}
	if opts.isSet("listen-cleartext") {
		cfg.SetListeners(false, opts.cleartext, opts.from["listen-cleartext"])
	}
	if opts.config == "" {
		if !opts.isSet("listen") {
			cfg.SetListeners(true, []config.Address{defaultListen}, "--listen")
		}
		if !opts.isSet("listen-cleartext") {
			cfg.SetListeners(false, []config.Address{defaultCleartext}, "--listen-cleartext")
		}
	}
	if !opts.isSet("redirect-https") {
		return
	}
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; !l.TLS {
			l.RedirectHTTPS = opts.redirect
			cfg.Came(fmt.Sprintf("listeners[%d].redirect_https", i), opts.from["redirect-https"])
		}
	}
}

// setSite says of the default site what the options say of DIR and the certificate.
func (opts *options) setSite(cfg *config.Config) {
	fields := []struct {
		flag, field string
		set         func(s *config.Site)
	}{
		{"dir", "root", func(s *config.Site) { s.Root = opts.dir }},
		{"list", "list", func(s *config.Site) { s.List = opts.list }},
		{"compress", "compress", func(s *config.Site) { s.Compress = opts.compress }},
		{"not-found", "not_found", func(s *config.Site) { s.NotFound = opts.notFound }},
		{"cache-control", "cache", func(s *config.Site) { s.Cache = opts.cache }},
		{"cert", "certificates", func(s *config.Site) {
			s.Certificates = []config.Certificate{{Cert: opts.cert, Key: opts.key}}
		}},
	}
	for _, f := range fields {
		if !opts.isSet(f.flag) {
			continue
		}
		i, s := cfg.MakeDefaultSite()
		f.set(s)
		cfg.Came(fmt.Sprintf("sites[%d].%s", i, f.field), opts.from[f.flag])
		if f.flag == "cert" {
			cfg.Came(fmt.Sprintf("sites[%d].certificates[0].key", i), opts.from["key"])
		}
	}
}

// check is the command h2loop check. It returns the exit status.
func check(args, environ []string, stdout, stderr io.Writer) int {
	opts, err := parseFlags(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	var cfg *config.Config
	if err == nil {
		cfg, err = opts.settings(environ)
	}
	if err != nil {
		for line := range strings.Lines(plain(err)) {
			fmt.Fprintln(stderr, strings.TrimSuffix(line, "\n"))
		}
		return 1
	}
	for _, note := range cfg.Notes(time.Now()) {
		fmt.Fprintln(stderr, "note:", note.Error())
	}
	for _, name := range strangers(environ) {
		fmt.Fprintf(stderr, "note: %s means nothing\n", name)
	}
	fmt.Fprintf(stdout, "good: listeners: %d, sites: %d\n", len(cfg.Listeners), len(cfg.Sites))
	return 0
}

// strangers returns variables that look as if they were for us, and are not.
func strangers(environ []string) []string {
	flags, _ := newFlags()
	return config.Strangers(environ, flagVariables(flags)...)
}

// tellProblems says in one line each why the program does not start.
func tellProblems(stderr io.Writer, err error) {
	for line := range strings.Lines(plain(err)) {
		fmt.Fprintln(stderr, "h2loop:", strings.TrimSuffix(line, "\n"))
	}
}
