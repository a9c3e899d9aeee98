package loop

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketOptions reads from the kernel what the newest connection of srv has.
func socketOptions(t *testing.T, srv *Server) map[string]int {
	t.Helper()
	c := stressConnOf(t, srv, stressDial(t, srv, 1<<20))
	got := make(map[string]int)
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		for name, o := range map[string][2]int{
			"keep-alive":   {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
			"idle":         {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
			"every":        {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
			"count":        {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			"no delay":     {unix.IPPROTO_TCP, unix.TCP_NODELAY},
			"user timeout": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT},
			"low water":    {unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT},
		} {
			v, err := unix.GetsockoptInt(c.wire.fd, o[0], o[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got[name] = max(v, 0) // MPTCP's own low water is beyond everything: none
		}
		if ahead := int(c.pace.ahead); ahead != got["low water"] {
			t.Errorf("pace.ahead is %d, TCP_NOTSENT_LOWAT %d", ahead, got["low water"])
		}
	})
	return got
}

// TestSocketOptions sees what connections begin with: those of a listener of ours, of one
// that was given, also if it knows MPTCP or has other settings from before, and those
// which come after the settings have changed.
func TestSocketOptions(t *testing.T) {
	t.Parallel()
	listen := func(mptcp bool) net.Listener {
		var cfg net.ListenConfig
		cfg.SetMultipathTCP(mptcp)
		ln, err := cfg.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	used := listen(false)
	raw, err := used.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		_ = setUserTimeout(int(fd), time.Minute)
		_ = setSendLowWater(int(fd), 1<<15)
	}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		ln        Listener
		inherited bool
	}{
		{"ours", Listener{Address: "127.0.0.1:0"}, true},
		{"given", Listener{Listener: listen(false)}, true},
		{"used before", Listener{Listener: used}, true},
		{"MPTCP", Listener{Listener: listen(true)}, false}, // or not, if the kernel has none
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Listeners: []Listener{tt.ln}, UserTimeout: 90 * time.Second}
			srv := stressServe(t, cfg, func(*Server) {})
			want := map[string]int{
				"keep-alive": 1, "idle": 15, "every": 15, "count": 9, "no delay": 1,
				"user timeout": 90_000, "low water": firstAhead,
			}
			check := func(when string) {
				t.Helper()
				got := socketOptions(t, srv)
				for name, v := range want {
					if got[name] != v {
						t.Errorf("%s: %s is %d, want %d", when, name, got[name], v)
					}
				}
			}
			check("at first")
			if has := srv.listeners[0].inherited; tt.inherited && has != srv.config().socketSettings() {
				t.Errorf("inherited: %+v", has)
			}
			cfg.UserTimeout, cfg.SendLowWater = 100*time.Second, 100<<10
			if _, err := srv.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
			want["user timeout"], want["low water"] = 100_000, 100<<10
			check("after Reconfigure")
			cfg.UserTimeout, cfg.SendLowWater = -1, -1
			if _, err := srv.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
			want["user timeout"], want["low water"] = 0, 0
			check("with none of them")
		})
	}
}
