package loop

import "fmt"

// isDead reports whether x is over. See [Config.DebugExchanges] for when it panics.
func (x *Exchange) isDead() bool {
	if x.buried {
		x.accuse()
	}
	return x.request == nil || x.refused != ""
}

func (x *Exchange) accuse() {
	panic(fmt.Sprintf("loop: an exchange of pattern %q is used after it is over: its callback has returned, without an Async",
		x.match.Pattern))
}
