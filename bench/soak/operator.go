package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// reload exchanges the certificates and the configuration, and sees both hold.
func (l *load) reload(ctx context.Context) error {
	for _, host := range hosts {
		if err := l.issue(host); err != nil {
			return err
		}
	}
	if err := l.configure(); err != nil {
		return err
	}
	if err := l.srv.signal(syscall.SIGHUP); err != nil {
		return err
	}
	serial, turn := 1000+l.serial.Load(), strconv.FormatInt(l.turn.Load(), 10)
	err := error(nil)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = l.hasReloaded(ctx, serial, turn); err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("after SIGHUP: %w", err)
}

// hasReloaded says in what the server is not as it was told to be.
func (l *load) hasReloaded(ctx context.Context, serial int64, turn string) error {
	host := hosts[len(hosts)-1] // whose certificate is the last
	d := tls.Dialer{NetDialer: dialer(), Config: &tls.Config{RootCAs: l.trust(), ServerName: host}}
	c, err := d.DialContext(ctx, "tcp", l.at.tls)
	if err != nil {
		return err
	}
	defer c.Close()
	if got := c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
		return fmt.Errorf("certificate %d, not %d", got, serial)
	}
	return l.fresh[0].expect(ctx, request{method: http.MethodGet, host: host, path: "/small.txt"}, answer{status: 200, fields: []string{"X-Turn", turn}})
}

// rotate counts the lines of the log that was moved away last, moves the one that there is,
// and has the server begin another.
func (l *load) rotate(ctx context.Context) error {
	n, err := l.countOldLog()
	if err != nil {
		return err
	}
	l.watch.logged(n)
	old := fmt.Sprintf("%s.%d", l.log(), time.Now().UnixNano())
	if err := os.Rename(l.log(), old); err != nil {
		return err
	}
	l.oldLog = old
	if err := l.srv.signal(syscall.SIGUSR1); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(l.log()); err == nil {
			return nil
		}
	}
	return errors.New("after SIGUSR1 there is no new access log")
}

func (g *ground) log() string { return filepath.Join(g.dir, "access.log") }

// countLogs counts the lines of both logs, the old one and that which the server writes.
func (g *ground) countLogs() (int64, error) {
	old, err1 := g.countOldLog()
	n, err2 := countLines(g.log())
	return old + n, errors.Join(err1, err2)
}

// countOldLog counts the lines of a log that was moved away, and removes it.
func (g *ground) countOldLog() (int64, error) {
	name := g.oldLog
	if name == "" {
		return 0, nil
	}
	n, err := countLines(name)
	if err != nil {
		return 0, err
	}
	g.oldLog = ""
	return n, os.Remove(name)
}

// countLines counts the lines of an access log. Each is a JSON object.
func countLines(name string) (n int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !json.Valid(lines.Bytes()) {
			return n, fmt.Errorf("line %d of an access log is no JSON: %q", n+1, lines.Bytes())
		}
		n++
	}
	return n, lines.Err()
}
