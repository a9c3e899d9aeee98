package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/internal/leaktest"
)

// TestMain is the attacker if it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-as" {
		main()
		return
	}
	os.Exit(leaktest.Run(m))
}

// TestAttacks makes each attack for a moment: the server lives, no good request
// fails, and nobody is told what nobody may know. How long anything takes is no
// matter of a test, and neither is memory, of which a moment says nothing.
func TestAttacks(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	if raceDetector {
		t.Skip("it is about another process, which is built without the race detector")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not here")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	g, err := prepare(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer g.remove()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			length := 200 * time.Millisecond
			r, err := g.attack(ctx, a, length, 0)
			for err == nil && r.did.Conns == 0 && length < 5*time.Second {
				length *= 2 // this machine has stood still for so long
				r, err = g.attack(ctx, a, length, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(r.beside.failures) > 0 {
				t.Errorf("%d good requests failed: %s", len(r.beside.failures), r.beside.failures[0])
			}
			if r.did.Conns == 0 {
				t.Error("there was no attack")
			}
			for seen := range r.did.Seen {
				if a.never != "" && strings.Contains(seen, a.never) {
					t.Errorf("the attacker saw %s", seen)
				}
			}
		})
	}
}
