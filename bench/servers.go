package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

// A server is a program to measure: h2loop or a peer of it.
type server struct {
	name string
	// find gets the program ready; its error says why it cannot be measured.
	find func(context.Context, *ground) error
	// command returns the command line that serves 127.0.0.1:port.
	command func(g *ground, tls bool, port int) ([]string, error)
	version []string // a command that prints it; none for Go programs of this module
	environ []string
}

const subject = "h2loop" // the server that the others are peers of

// oneCore tells Go programs what taskset tells the others.
var oneCore = []string{"GOMAXPROCS=1"}

var servers = []*server{
	{
		name: subject,
		find: func(ctx context.Context, g *ground) error { return goBuild(ctx, g, "./cmd/h2loop", "h2loop") },
		command: func(g *ground, tls bool, port int) ([]string, error) {
			args := []string{filepath.Join(g.dir, "h2loop"), "--bench", "--loops", "1", "--log-level", "error"}
			return append(args, goListener(g, tls, port)...), nil
		},
		environ: oneCore,
	},
	{
		name: "nghttpd",
		find: installed("nghttpd"),
		command: func(g *ground, tls bool, port int) ([]string, error) {
			// Windows of 2^30 octets, so that uploads do not wait for credit.
			args := []string{"nghttpd", "-n1", "-m256", "-w30", "-W30", "-a", "127.0.0.1", "-d", g.docs}
			if !tls {
				return append(args, "--no-tls", strconv.Itoa(port)), nil
			}
			return append(args, strconv.Itoa(port), g.key, g.cert), nil
		},
		version: []string{"nghttpd", "--version"},
	},
	{
		name:    "h2o",
		find:    installed("h2o"),
		command: h2oCommand,
		version: []string{"h2o", "--version"},
	},
	{
		name: "nethttp",
		find: func(ctx context.Context, g *ground) error { return goBuild(ctx, g, "./bench/peers/nethttp", "nethttp") },
		command: func(g *ground, tls bool, port int) ([]string, error) {
			args := []string{filepath.Join(g.dir, "nethttp"), "--docs", g.docs}
			return append(args, goListener(g, tls, port)...), nil
		},
		environ: oneCore,
	},
}

func installed(name string) func(context.Context, *ground) error {
	return func(context.Context, *ground) error {
		_, err := exec.LookPath(name)
		return err
	}
}

// goBuild builds a program of this module into the ground.
func goBuild(ctx context.Context, g *ground, pkg, name string) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(g.dir, name), pkg)
	cmd.Dir = g.module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	return nil
}

// goListener returns the flags that h2loop and the net/http peer share: one
// listener, and none at h2loop's default addresses.
func goListener(g *ground, tls bool, port int) []string {
	address := "127.0.0.1:" + strconv.Itoa(port)
	if !tls {
		return []string{"--listen", "", "--listen-cleartext", address}
	}
	return []string{"--listen", address, "--listen-cleartext", "", "--cert", g.cert, "--key", g.key}
}

//go:embed peers/h2o.conf
var h2oConf string

func h2oCommand(g *ground, tls bool, port int) ([]string, error) {
	t, err := template.New("h2o.conf").Parse(h2oConf)
	if err != nil {
		return nil, err
	}
	var conf bytes.Buffer
	err = t.Execute(&conf, map[string]any{"Port": port, "TLS": tls, "Cert": g.cert, "Key": g.key, "Docs": g.docs})
	if err != nil {
		return nil, err
	}
	name := filepath.Join(g.dir, "h2o.conf")
	if err := os.WriteFile(name, conf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return []string{"h2o", "-c", name}, nil
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
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
