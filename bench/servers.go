package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// A server is a program to measure: h2loop or a peer of it.
type server struct {
	name string
	// find gets the program ready; its error says why it cannot be measured.
	find func(context.Context, *ground) error
	// command returns the command line that serves e.
	command func(g *ground, e endpoint) ([]string, error)
	// lacks returns why a workload cannot be measured on it, or "". Nil if all can.
	lacks   func(w workload) string
	version []string // a command that prints it; none for Go programs of this module
	environ []string
}

// An endpoint is where a server is to listen on 127.0.0.1, and for what. Over
// TLS it is for both versions; in cleartext some servers have to be told.
type endpoint struct {
	Port int
	TLS  bool
	H2C  bool // HTTP/2 with prior knowledge
}

func (w workload) endpoint(port int) endpoint {
	return endpoint{Port: port, TLS: w.tls, H2C: !w.tls && !w.http1}
}

const subject = "h2loop" // the server that the others are peers of

// oneCore tells Go programs what taskset tells the others.
var oneCore = []string{"GOMAXPROCS=1"}

var servers = []*server{
	{
		name: subject,
		find: func(ctx context.Context, g *ground) error {
			return goBuild(ctx, g, "./cmd/h2loop", "h2loop", "-pgo="+g.pgo)
		},
		command: func(g *ground, e endpoint) ([]string, error) {
			args := []string{filepath.Join(g.dir, "h2loop"), "--bench", "--loops", "1", "--log-level", "error"}
			return append(args, goListener(g, e)...), nil
		},
		environ: oneCore,
	},
	{
		name: "nghttpd",
		find: installed("nghttpd"),
		command: func(g *ground, e endpoint) ([]string, error) {
			// Windows of 2^30 octets, so that uploads do not wait for credit.
			args := []string{"nghttpd", "-n1", "-m256", "-w30", "-W30", "-a", "127.0.0.1", "-d", g.docs}
			if !e.TLS {
				return append(args, "--no-tls", strconv.Itoa(e.Port)), nil
			}
			return append(args, strconv.Itoa(e.Port), g.key, g.cert), nil
		},
		lacks: func(w workload) string {
			if w.http1 {
				return "it speaks HTTP/2 only"
			}
			return ""
		},
		version: []string{"nghttpd", "--version"},
	},
	{
		name:    "h2o",
		find:    installed("h2o"),
		command: configured("h2o.conf", "h2o", "-c"),
		version: []string{"h2o", "--version"},
	},
	{
		name:    "nginx",
		find:    installed("nginx"),
		command: configured("nginx.conf", "nginx", "-c"),
		lacks:   earlyAnswers,
		version: []string{"nginx", "-v"},
	},
	{
		name:    "lighttpd",
		find:    findLighttpd,
		command: configured("lighttpd.conf", "lighttpd", "-D", "-f"),
		lacks: func(w workload) string {
			if w.upload && w.http1 {
				return "it closes the connection after a POST to a file"
			}
			return earlyAnswers(w)
		},
		version: []string{"lighttpd", "-v"},
	},
	{
		name:    "haproxy",
		find:    installed("haproxy"),
		command: configured("haproxy.cfg", "haproxy", "-db", "-f"),
		lacks: func(w workload) string {
			if w.perMB() && !w.upload {
				return "it serves no files, and an answer of its own must fit into one buffer"
			}
			return earlyAnswers(w)
		},
		version: []string{"haproxy", "-v"},
	},
	{
		name: "caddy",
		find: installed("caddy"),
		command: func(g *ground, e endpoint) ([]string, error) {
			argv, err := configured("Caddyfile", "caddy", "run", "--adapter", "caddyfile", "--config")(g, e)
			// It writes to its home.
			return append([]string{"env", "XDG_CONFIG_HOME=" + g.dir, "XDG_DATA_HOME=" + g.dir}, argv...), err
		},
		version: []string{"caddy", "version"},
		environ: oneCore,
	},
	{
		name: "nethttp",
		find: func(ctx context.Context, g *ground) error { return goBuild(ctx, g, "./bench/peers/nethttp", "nethttp") },
		command: func(g *ground, e endpoint) ([]string, error) {
			args := []string{filepath.Join(g.dir, "nethttp"), "--docs", g.docs}
			return append(args, goListener(g, e)...), nil
		},
		environ: oneCore,
	},
}

// earlyAnswers is for servers that answer a POST before they have read its
// body, of which HTTP/2 lets them drop the rest.
func earlyAnswers(w workload) string {
	if w.upload && !w.http1 {
		return "it answers before it has read the body"
	}
	return ""
}

func installed(name string) func(context.Context, *ground) error {
	return func(context.Context, *ground) error {
		_, err := exec.LookPath(name)
		return err
	}
}

// findLighttpd sees whether it has its module for TLS, which Debian has in a
// package of its own.
func findLighttpd(ctx context.Context, g *ground) error {
	if _, err := exec.LookPath("lighttpd"); err != nil {
		return err
	}
	argv, err := configured("lighttpd.conf", "lighttpd", "-tt", "-f")(g, endpoint{Port: 8443, TLS: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("lighttpd -tt: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// buildBound is the time that a build may take, of all packages if need be.
const buildBound = 10 * time.Minute

// goBuild builds a program of this module into the ground.
func goBuild(ctx context.Context, g *ground, pkg, name string, flags ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildBound)
	defer cancel()
	args := append([]string{"build", "-o", filepath.Join(g.dir, name)}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = g.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	return nil
}

// goListener returns the flags that h2loop and the net/http peer share: one
// listener, and none at h2loop's default addresses.
func goListener(g *ground, e endpoint) []string {
	address := "127.0.0.1:" + strconv.Itoa(e.Port)
	if !e.TLS {
		return []string{"--listen", "", "--listen-cleartext", address}
	}
	return []string{"--listen", address, "--listen-cleartext", "", "--cert", g.cert, "--key", g.key}
}

//go:embed peers/h2o.conf peers/nginx.conf peers/lighttpd.conf peers/haproxy.cfg peers/Caddyfile
var peerConfigs embed.FS

// configured returns the command of a server that has a configuration: argv and
// the name of the file, which is made of a template in peers/.
func configured(name string, argv ...string) func(*ground, endpoint) ([]string, error) {
	return func(g *ground, e endpoint) ([]string, error) {
		text, err := g.render(name, e)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(g.dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		return append(slices.Clone(argv), file), nil
	}
}

// render executes a template in peers/.
func (g *ground) render(name string, e endpoint) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(peerConfigs, "peers/"+name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		endpoint
		Cert, Key, Both string
		Docs, Dir       string
		Varied, Cipher  string
	}{e, g.cert, g.key, g.both, g.docs, g.dir, variedPrefix, onlyCipher})
	return b.Bytes(), err
}

// describe returns the version of s, or the Go that built it.
func (s *server) describe(ctx context.Context, g *ground) string {
	argv := s.version
	if argv == nil {
		argv = []string{"go", "version", filepath.Join(g.dir, s.name)}
	}
	out := firstLine(ctx, argv...)
	if s.version == nil {
		_, out, _ = strings.Cut(out, ": ")
	}
	return out
}

// firstLine returns the first line that a command prints, or "unknown".
func firstLine(ctx context.Context, argv ...string) string {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	// nginx writes it to standard error.
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil && len(out) == 0 { // wrk's status is 1 whatever it is asked
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
