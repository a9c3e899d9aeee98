package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/h2loop/h2loop/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// TestWatchdog tells only while all is well, and only if it is asked to.
func TestWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	n, err := NewNotifier()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	never := func(time.Duration) bool { t.Error("asked in vain"); return true }
	n.Watchdog(nil, never) // there is no watchdog
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()+1))
	n.Watchdog(nil, never) // it is another's
	(*Notifier)(nil).Watchdog(nil, never)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	done := make(chan struct{})
	asked := 0
	n.Watchdog(done, func(within time.Duration) bool {
		if within != 10*time.Millisecond {
			t.Errorf("it has %v", within)
		}
		if asked++; asked == 5 {
			close(done)
		}
		return asked == 2
	})
	n.Ready()
	b := make([]byte, 100)
	for _, want := range []string{"WATCHDOG=1", "READY=1"} {
		if k, err := conn.Read(b); err != nil || string(b[:k]) != want {
			t.Errorf("told %q, %v; want %q", b[:k], err, want)
		}
	}
}

// TestWatchdogInterval takes what systemd sets and nothing else.
func TestWatchdogInterval(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-1": 0, "x": 0, "99999999999999999999": 0, "9999999999999": 0, "20000000": 20 * time.Second,
	} {
		t.Setenv("WATCHDOG_USEC", value)
		if got := watchdogInterval(); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// TestTakeSockets takes nothing that is meant for another process, or that makes no sense.
func TestTakeSockets(t *testing.T) {
	for _, env := range [][2]string{{"", "1"}, {strconv.Itoa(os.Getpid() + 1), "1"}, {strconv.Itoa(os.Getpid()), "x"}, {strconv.Itoa(os.Getpid()), "-1"}} {
		t.Setenv("LISTEN_PID", env[0])
		t.Setenv("LISTEN_FDS", env[1])
		s := TakeSockets()
		if _, err := s.Listener("0"); err == nil || len(s.files) != 0 {
			t.Errorf("%q: %d sockets, %v", env, len(s.files), err)
		}
		s.Close()
	}
}
