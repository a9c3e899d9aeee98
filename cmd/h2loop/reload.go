package main

import "errors"

// reload reads the configuration, and what it names, anew. If there is anything wrong with
// it, the old one holds.
func (s *server) reload() error {
	if s.opts.config == "" && s.cfg.IsDemo() && s.cfg.IsForDevelopment() {
		return errors.New("there is no --config, no --cert and no directory whose files could be read anew")
	}
	next, err := s.opts.settings(s.environ)
	if err != nil {
		return err
	}
	if err := s.hosts.Update(next); err != nil {
		return err
	}
	s.cfg = next
	return nil
}
