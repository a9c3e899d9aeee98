package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/accesslog"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
	"github.com/h2loop/h2loop/cmd/h2loop/internal/privileges"
)

// findUser returns who the process is to become. The error says that it cannot.
func (s *server) findUser() (privileges.User, error) {
	who, err := privileges.Find(s.cfg.User, s.cfg.Group)
	if err == nil {
		err = who.Check()
	}
	return who, err
}

// prepareAccessLog makes the file of the access log, for the user that the process is to
// become. One that is there is left alone, and is not opened as root if that user may have
// put another file in its place.
func prepareAccessLog(to config.AccessLog, who privileges.User) error {
	if to.File == "" || to.File == "-" || !who.IsSet() {
		return nil
	}
	f, err := os.OpenFile(to.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) // follows no link
	if errors.Is(err, fs.ErrExist) {
		if info, err := os.Lstat(to.File); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("access log: %s is a symbolic link: with a user, it has to be the file", to.File)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	defer f.Close()
	if os.Geteuid() != 0 {
		return nil // it is that user's
	}
	return f.Chown(who.UID, who.GID)
}

// become makes the process another user, once all that takes root has been done, and tells
// of what it cannot do from then on.
func (s *server) become(who privileges.User, access *accesslog.Log) error {
	if !who.IsSet() {
		return nil
	}
	if os.Geteuid() == 0 {
		for _, path := range s.socketPaths() {
			if err := os.Lchown(path, who.UID, who.GID); err != nil {
				return err
			}
		}
	}
	if err := who.Drop(); err != nil {
		return err
	}
	if access != nil {
		if err := access.Reopen(); err != nil { // what was opened as root is not written to
			return fmt.Errorf("access log: %w (as user %q)", err, who.Name)
		}
	}
	s.log.Info().Str("user", who.Name).Int("uid", who.UID).Int("gid", who.GID).Ints("groups", who.Groups).
		Msg("without privileges from here on")
	files := s.cfg.Files()
	if s.opts.config != "" {
		files = append(files, s.opts.config)
	}
	if names := forbidden(files, unix.R_OK); len(names) > 0 {
		s.log.Warn().Strs("files", names).Msg("this user cannot read these files: SIGHUP will keep what there is")
	}
	if names := forbidden(s.roots(), unix.R_OK|unix.X_OK); len(names) > 0 {
		s.log.Warn().Strs("directories", names).Msg("this user cannot read these directories")
	}
	if file := s.cfg.AccessLog.File; access != nil && file != "-" {
		if names := forbidden([]string{filepath.Dir(file)}, unix.W_OK|unix.X_OK); len(names) > 0 {
			s.log.Warn().Strs("directories", names).Msg("this user cannot make files there: the access log cannot be opened anew once it has been moved away")
		}
	}
	return nil
}

// socketPaths returns the unix sockets that this process has made.
func (s *server) socketPaths() (paths []string) {
	addrs := []string{s.cfg.Admin}
	for i := range s.cfg.Listeners {
		addrs = append(addrs, string(s.cfg.Listeners[i].Address))
	}
	for _, addr := range addrs {
		if path, ok := strings.CutPrefix(addr, config.UnixPrefix); ok && !strings.HasPrefix(path, "@") { // which is no file
			paths = append(paths, path)
		}
	}
	return paths
}

func (s *server) roots() (names []string) {
	for i := range s.cfg.Sites {
		if root := s.cfg.Sites[i].Root; root != "" {
			names = append(names, root)
		}
	}
	return names
}

// forbidden returns those files that this process must not use so.
func forbidden(names []string, mode uint32) (forbidden []string) {
	for _, name := range names {
		if unix.Faccessat(unix.AT_FDCWD, name, mode, unix.AT_EACCESS) != nil {
			forbidden = append(forbidden, name)
		}
	}
	return forbidden
}

// asUser adds to an error of reading files who has read them, if it is not who has started
// the process.
func (s *server) asUser(err error) error {
	if err == nil || s.first.User == "" {
		return err
	}
	return fmt.Errorf("%w (read as user %q)", err, s.first.User)
}
