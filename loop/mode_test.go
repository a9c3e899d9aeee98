package loop

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnixMode has the file of a unix socket have the mode that was asked for, and never
// more, from the time that there is one.
func TestUnixMode(t *testing.T) {
	dir := t.TempDir()
	modeOf := func(path string) fs.FileMode {
		t.Helper()
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666} {
		path := filepath.Join(dir, fmt.Sprintf("%o", mode))
		srv, err := New(Config{Listeners: []Listener{{Network: "unix", Address: path, Mode: mode}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := modeOf(path); got != mode {
			t.Errorf("mode %o, want %o", got, mode)
		}
		_ = srv.Shutdown(t.Context())

		ln, err := (&net.ListenConfig{Control: narrow(mode)}).Listen(context.Background(), "unix", path+"-at-first")
		if err != nil {
			t.Fatal(err)
		}
		if got := modeOf(path + "-at-first"); got&^mode != 0 || got&0o600 != 0o600 {
			t.Errorf("mode %o at first, want %o at most", got, mode)
		}
		_ = ln.Close()
	}
	for _, ln := range []Listener{
		{Address: "127.0.0.1:0", Mode: 0o660},
		{Network: "unix", Address: filepath.Join(dir, "wrong"), Mode: fs.ModeSetuid | 0o660},
	} {
		if _, err := New(Config{Listeners: []Listener{ln}}); err == nil || !strings.Contains(err.Error(), "Listeners[0].Mode is") {
			t.Errorf("%+v: %v", ln, err)
		}
	}
}
