package main

import (
	"testing"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/vhost"
	"github.com/h2loop/h2loop/loop"
)

// TestApplyAllOrNothing has the server refuse limits that nobody has checked: then the sites
// are the old ones too.
func TestApplyAllOrNothing(t *testing.T) {
	old := &config.Config{Listeners: []config.Listener{{Address: "127.0.0.1:0"}}}
	s := &server{opts: &options{}, first: old, cfg: old, log: zerolog.Nop(), level: &levelSampler{}, applied: make(chan struct{}, 1)}
	var err error
	if s.hosts, err = vhost.New(old, nil, s.log); err != nil {
		t.Fatal(err)
	}
	defer s.hosts.Close()
	if s.loop, err = loop.New(s.loopConfig(old)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.loop.Shutdown(t.Context()) }()
	next := *old
	next.TLS.ClientAuth = 2 // for which handshakes run elsewhere
	next.Limits.AcceptRate.Burst = 5
	if err := s.apply(&next); err == nil {
		t.Error("it was not refused")
	}
	if s.cfg != old || s.hosts.Handshakes() != loop.HandshakesOnLoop {
		t.Error("what was refused holds in part")
	}
	next.Limits.AcceptRate.PerSecond = 5
	if err := s.apply(&next); err != nil || s.cfg != &next || s.hosts.Handshakes() != loop.HandshakesOffLoop {
		t.Errorf("%v, or it does not hold", err)
	}
}
