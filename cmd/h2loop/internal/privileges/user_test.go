package privileges

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		name, group string
		uid, gid    int
		wrong       string
	}{
		{name: "root", uid: 0, gid: 0},
		{name: "0", uid: 0, gid: 0},
		{name: "0", group: "12345", uid: 0, gid: 12345},
		{name: "54321", group: "root", uid: 54321, gid: 0},
		{name: "54321", group: "54322", uid: 54321, gid: 54322},
		{name: "54321", wrong: "it needs a group"},
		{name: "no-such-user", wrong: `there is no user "no-such-user"`},
		{name: "root", group: "no-such-group", wrong: `there is no group "no-such-group"`},
		{name: "-1", wrong: "there is no user"},
		{name: "4294967295", group: "root", wrong: "there is no user"},
		{name: "root", group: "4294967295", wrong: "there is no group"},
		{group: "root", wrong: "a group needs a user"},
	} {
		u, err := Find(tt.name, tt.group)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) || u.IsSet() {
				t.Errorf("Find(%q, %q) = %+v, %v; want %s", tt.name, tt.group, u, err, tt.wrong)
			}
			continue
		}
		if err != nil || u.UID != tt.uid || u.GID != tt.gid || !slices.Contains(u.Groups, tt.gid) {
			t.Errorf("Find(%q, %q) = %+v, %v", tt.name, tt.group, u, err)
		}
	}
	u, err := Find("", "")
	if err != nil || u.IsSet() || u.Check() != nil || u.Drop() != nil {
		t.Errorf("nobody is %+v, %v", u, err)
	}
}

// TestCheck refuses what only root can do, and lets who is who he is.
func TestCheck(t *testing.T) {
	me, err := Find(strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getgid()))
	if err != nil || me.Check() != nil {
		t.Errorf("%+v: %v, %v", me, err, me.Check())
	}
	other, err := Find("54321", "54321")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Check(); (err == nil) != (os.Geteuid() == 0) {
		t.Errorf("user %d becomes another: %v", os.Geteuid(), err)
	}
}
