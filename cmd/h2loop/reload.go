package main

import (
	"errors"
	"os"
	"time"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

// reload reads the configuration, and what it names, anew. If there is anything wrong with
// it, the old one holds. What cannot be changed while the process runs is logged, and all
// else holds.
func (s *server) reload() (err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	defer func() { err = s.asUser(err) }()
	if s.opts.config == "" && s.cfg.IsDemo() && s.cfg.IsForDevelopment() {
		return errors.New("there is no --config, no --cert and no directory whose files could be read anew")
	}
	next, err := s.opts.settingsBy((*config.Config).Check, s.environ)
	switch {
	case err != nil:
		return err
	case next.IsDemo() != s.cfg.IsDemo():
		return errors.New("there are sites instead of the page about h2loop, or the other way round: that takes a restart")
	case next.IsForDevelopment() != s.cfg.IsForDevelopment():
		return errors.New("certificates replace that for development, or the other way round: that takes a restart")
	}
	if err := s.apply(next); err != nil {
		return err
	}
	s.tellNotes(next)
	s.log.Info().Msg("reloaded")
	return nil
}

// apply has next hold, which has been checked. If that fails, nothing changes.
func (s *server) apply(next *config.Config) error {
	files := stampsOf(next.Files()) // before they are read
	if _, err := s.loopConfig(next).WithDefaults(); err != nil {
		return err // before the sites are other ones
	}
	if err := s.hosts.Update(next); err != nil {
		return err
	}
	fixed, err := s.loop.Reconfigure(s.loopConfig(next))
	if err != nil {
		return err
	}
	fixed = fieldNames(fixed)
	if s.formatOf(next) != s.formatOf(s.first) {
		fixed = append(fixed, "log.format")
	}
	if next.AccessLog != s.first.AccessLog {
		fixed = append(fixed, "access_log")
	}
	if next.Admin != s.first.Admin {
		fixed = append(fixed, "admin")
	}
	if next.User != s.first.User || next.Group != s.first.Group {
		fixed = append(fixed, "user")
	}
	if len(fixed) > 0 {
		s.log.Warn().Strs("fields", fixed).Msg("these changes take a restart; all else holds")
	}
	s.level.set(next.Log.Level)
	s.cfg = next
	s.files = watched{files, files}
	select {
	case s.applied <- struct{}{}:
	default:
	}
	return nil
}

func (s *server) formatOf(cfg *config.Config) config.Format {
	if cfg.Log.Format == "" {
		return "auto"
	}
	return cfg.Log.Format
}

// fieldNames has fields of loop.Config be called as they are in the file.
func fieldNames(names []string) []string {
	for i, name := range names {
		switch name {
		case "Loops":
			names[i] = "loops"
		case "Listeners":
			names[i] = "listeners"
		case "MaxHandshakeBytes":
			names[i] = "limits.max_handshake_bytes"
		}
	}
	return names
}

// defaultWatch is how often files of certificates are looked at.
const defaultWatch = 30 * time.Second

// rotateEvery is how often there is a new secret for session tickets, as in crypto/tls.
const rotateEvery = 24 * time.Hour

// tend does what is to be done now and then, until done.
func (s *server) tend(done <-chan struct{}) {
	rotate := time.NewTicker(rotateEvery)
	defer rotate.Stop()
	for {
		select {
		case <-done:
			return
		case <-s.applied: // it may say how often
		case <-rotate.C:
			s.hosts.Rotate()
		case <-time.After(s.watchEvery()):
			s.lookAtFiles()
		}
	}
}

// watchEvery returns how long to wait until the files are looked at; a day if they are
// not to be.
func (s *server) watchEvery() time.Duration {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	switch d := time.Duration(s.cfg.TLS.Watch); {
	case d > 0:
		return d
	case d < 0:
		return rotateEvery
	default:
		return defaultWatch
	}
}

// lookAtFiles reads certificates, keys and CAs anew if a file of theirs has changed, with
// the configuration that there is. It waits until they have not changed for one look: a
// certificate and its key are two files.
func (s *server) lookAtFiles() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.cfg.TLS.Watch < 0 || !s.files.haveSettled() {
		return
	}
	err := error(nil)
	if problems := s.cfg.Check(); len(problems) > 0 {
		err = problems
	}
	if err == nil {
		err = s.apply(s.cfg)
	}
	if err = s.asUser(err); err != nil {
		s.log.Error().Msg("files of certificates have changed, and are not used: " + oneLine(err))
		return
	}
	s.log.Info().Msg("files of certificates have changed: reloaded")
}

// A watched is a set of files that are looked at now and then.
type watched struct {
	used map[string]stamp // when they were read
	seen map[string]stamp // at the last look
}

// A stamp tells versions of a file apart.
type stamp struct {
	size     int64
	modified time.Time
	info     os.FileInfo // nil if there is none
}

func stampsOf(names []string) map[string]stamp {
	stamps := make(map[string]stamp, len(names))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			stamps[name] = stamp{info.Size(), info.ModTime(), info}
		} else {
			stamps[name] = stamp{}
		}
	}
	return stamps
}

func (a stamp) isSame(b stamp) bool {
	if a.info == nil || b.info == nil {
		return a.info == nil && b.info == nil
	}
	return a.size == b.size && a.modified.Equal(b.modified) && os.SameFile(a.info, b.info)
}

func areSame(a, b map[string]stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for name, s := range a {
		if other, ok := b[name]; !ok || !s.isSame(other) {
			return false
		}
	}
	return true
}

// haveSettled reports whether a file is another than when it was read, and has been so
// for two looks.
func (w *watched) haveSettled() bool {
	names := make([]string, 0, len(w.used))
	for name := range w.used {
		names = append(names, name)
	}
	now := stampsOf(names)
	settled := areSame(now, w.seen)
	w.seen = now
	if !settled || areSame(now, w.used) {
		return false
	}
	w.used = now // tried once
	return true
}
