package loop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	ossignal "os/signal" // signal is something else here
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// hangingChild is set in the environment of a child that is a program with handlers that
// do not return.
const hangingChild = "H2LOOP_HANGING"

// hang is that program: it serves until SIGTERM, and ends as a program should.
func hang() int {
	ctx, stop := ossignal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := zerolog.New(os.Stderr)
	srv, err := New(Config{
		Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 2, Logger: &log, DrainTimeout: 500 * time.Millisecond,
	})
	if err == nil {
		srv.Handle("/loop", func(*Exchange) { fmt.Println("entered"); select {} })
		srv.HandleBlocking("/blocking", func(context.Context, *Exchange) error { fmt.Println("entered"); select {} })
		srv.HandleHTTP("/http", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fmt.Println("entered"); select {} }))
		fmt.Println(srv.Addrs()[0])
		err = srv.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// TestEndlessProcess sends SIGTERM to a program while a handler of each kind hangs, and a
// client waits for it: it ends by itself, and if the handler holds up a loop, with an error.
func TestEndlessProcess(t *testing.T) {
	if os.Getenv(hangingChild) != "" {
		os.Exit(hang())
	}
	for how, want := range map[string]struct {
		status int
		says   string
	}{
		"loop":     {3, "do not end: a callback has not returned"},
		"blocking": {0, "drain timed out"},
		"http":     {0, "drain timed out"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), stressPatience)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestEndlessProcess$")
			cmd.Env = append(os.Environ(), hangingChild+"=1")
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			lines.Scan()
			nc, err := net.Dial("tcp", lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			ask(t, nc, "/"+how, false)
			if !lines.Scan() || lines.Text() != "entered" {
				t.Fatalf("%q, %v", lines.Text(), lines.Err())
			}
			_ = cmd.Process.Signal(syscall.SIGTERM)
			err = cmd.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() == -1) {
				t.Fatalf("it does not end: %v\n%s", err, said.String())
			}
			if status := cmd.ProcessState.ExitCode(); status != want.status || !strings.Contains(said.String(), want.says) {
				t.Errorf("status %d, want %d; it says\n%s", status, want.status, said.String())
			}
		})
	}
}
