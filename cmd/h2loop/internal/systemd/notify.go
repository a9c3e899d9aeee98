// Package systemd speaks with the service manager that has started the process: it tells
// how the process is (sd_notify(3)), and takes the sockets that it was given
// (sd_listen_fds(3)). Both are a few lines; without a service manager nothing happens.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Notifier tells the service manager how the process is. A nil Notifier tells nobody.
type Notifier struct{ conn net.Conn }

// NewNotifier returns a notifier; nil if nobody wants to be told.
func NewNotifier() (*Notifier, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' { // which is what package net calls abstract, too
		return nil, fmt.Errorf("NOTIFY_SOCKET is %q: it must be a unix socket", path)
	}
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	return &Notifier{conn}, nil
}

// tell sends lines. It may be lost: a manager that has gone is no reason to end.
func (n *Notifier) tell(lines ...string) {
	if n != nil {
		_, _ = n.conn.Write([]byte(strings.Join(lines, "\n")))
	}
}

// Ready tells that the process serves, or that what Reloading has begun is over.
func (n *Notifier) Ready() { n.tell("READY=1") }

// Stopping tells that the process has begun to end.
func (n *Notifier) Stopping() { n.tell("STOPPING=1", "STATUS=draining") }

// Reloading tells that settings are read anew. Ready is to follow.
func (n *Notifier) Reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	n.tell("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Nano()/1000, 10))
}

// Close ends the notifier.
func (n *Notifier) Close() {
	if n != nil {
		_ = n.conn.Close()
	}
}

// Watchdog calls isWell as often as the service manager wants to hear from the process,
// and tells it if that returns true, until done is closed. isWell is given the time in
// which it is to return. Without a watchdog it returns at once.
func (n *Notifier) Watchdog(done <-chan struct{}, isWell func(within time.Duration) bool) {
	every := watchdogInterval()
	if n == nil || every <= 0 {
		return
	}
	clock := time.NewTicker(every / 3)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			if isWell(every / 3) {
				n.tell("WATCHDOG=1")
			}
		case <-done:
			return
		}
	}
}

// watchdogInterval returns how often the process has to be heard of; 0 for never.
func watchdogInterval() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
