// Package privileges gives up what the process may do as root: it becomes another user,
// for good, in all its threads.
package privileges

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// A User is who the process is to be. The zero User is who it is.
type User struct {
	Name     string // as it was asked for; "" for nobody else
	UID, GID int
	Groups   []int // all that it belongs to
}

// Find finds a user and a group, each by name or number. Without a group it is that of the
// user, who is then also in the groups that the system says; without a user it is nobody
// else than the process is, and there must be no group.
func Find(name, group string) (u User, err error) {
	if name == "" {
		if group != "" {
			return u, errors.New("a group needs a user")
		}
		return u, nil
	}
	u.Name, u.GID = name, -1
	known, err := user.Lookup(name)
	if err != nil {
		known, err = user.LookupId(name) // also if it is a number
	}
	switch n, ok := number(name); {
	case err == nil:
		if err := u.fill(known); err != nil {
			return User{}, err
		}
	case ok: // one that the system does not know, as in a container
		u.UID = n
	default:
		return User{}, fmt.Errorf("there is no user %q", name)
	}
	if group != "" {
		if u.GID, err = findGroup(group); err != nil {
			return User{}, err
		}
	}
	if u.GID < 0 {
		return User{}, fmt.Errorf("the system knows no user with the number %s: it needs a group", name)
	}
	if !slices.Contains(u.Groups, u.GID) {
		u.Groups = append(u.Groups, u.GID)
	}
	return u, nil
}

func (u *User) fill(known *user.User) error {
	uid, ok1 := number(known.Uid)
	gid, ok2 := number(known.Gid)
	if !ok1 || !ok2 {
		return fmt.Errorf("user %q has the numbers %q and %q", u.Name, known.Uid, known.Gid)
	}
	u.UID, u.GID = uid, gid
	ids, err := known.GroupIds()
	if err != nil {
		return fmt.Errorf("the groups of user %q: %w", u.Name, err)
	}
	for _, id := range ids {
		if n, ok := number(id); ok {
			u.Groups = append(u.Groups, n)
		}
	}
	return nil
}

func findGroup(name string) (int, error) {
	if known, err := user.LookupGroup(name); err == nil {
		if n, ok := number(known.Gid); ok {
			return n, nil
		}
	}
	if n, ok := number(name); ok {
		return n, nil
	}
	return 0, fmt.Errorf("there is no group %q", name)
}

// number decodes an identifier. The greatest is no identifier: it means "as it is".
func number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil && n < 1<<32-1
}

// IsSet reports whether somebody was asked for.
func (u User) IsSet() bool { return u.Name != "" }

// Check reports an error if the process cannot become u: only root can become another.
func (u User) Check() error {
	if !u.IsSet() || os.Geteuid() == 0 || u.isThis() {
		return nil
	}
	return fmt.Errorf("only root can become user %q, and this is the user with the number %d", u.Name, os.Geteuid())
}

func (u User) isThis() bool {
	return os.Getuid() == u.UID && os.Geteuid() == u.UID && os.Getegid() == u.GID
}
