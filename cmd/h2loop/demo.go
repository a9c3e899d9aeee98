package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// What the page asks for, and how much of it anybody may ask for.
const (
	tileColumns = 20
	tileRows    = 12
	tiles       = tileColumns * tileRows // fewer than a client may have open at once, so that none waits for another

	maxTileDelay = 1000 // ms
)

// addDemo adds what the page shows the protocol with.
func addDemo(r *routeList) {
	r.addAs("GET /demo/tile/{n}", "/demo/tile/21?delay=250",
		fmt.Sprintf("one of %d tiles, after up to %d ms", tiles, maxTileDelay), sendTile)
	r.addAs("GET /demo/bulk/{name}", "/demo/bulk/any?mib=1",
		fmt.Sprintf("up to %d MiB, the urgent first, paced", maxBulk), newBulk().send)
}

// tileImage has the whole picture; the view box is what a tile shows of it.
const tileImage = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%d %d 1 1">` +
	`<path fill="none" stroke="currentColor" stroke-width=".62" stroke-linecap="round" stroke-linejoin="round" ` +
	`d="M.9 2.1v5.5M.9 6a1.4 1.4 0 0 1 2.8 0v1.6M4.9 3.6a1.35 1.35 0 0 1 2.7 0c0 1.6-2.7 2.4-2.7 4h2.8M9 2.1v5.5` +
	`M10.2 6.2a1.4 1.4 0 1 0 2.8 0a1.4 1.4 0 1 0-2.8 0M13.4 6.2a1.4 1.4 0 1 0 2.8 0a1.4 1.4 0 1 0-2.8 0` +
	`M16.7 4.8v5M16.7 6.2a1.3 1.4 0 1 0 2.6 0a1.3 1.4 0 1 0-2.6 0"/></svg>` + "\n"

// sendTile sends tile n, once the delay that the query asks for is over. The
// loop does not wait. Each open stream has one timer at most, and one that was
// given up counts as open until the timer has fired: so there are no more of
// them than a connection may have streams.
func sendTile(x *loop.Exchange) {
	n, err := strconv.Atoi(x.PathValue("n"))
	if err != nil || n < 0 || n >= tiles {
		_ = x.SendString(404, fmt.Sprintf("tiles are numbered from 0 to %d\n", tiles-1))
		return
	}
	delay, ok := queryNumber(x, "delay", 0, 0, maxTileDelay, "ms")
	if !ok {
		return
	}
	send := func(x *loop.Exchange) {
		if x == nil {
			return // the client has given up
		}
		_ = x.SetHeader("content-type", contentTypes[".svg"])
		_ = x.SetHeader("x-content-type-options", "nosniff")
		_ = x.SetHeader("cache-control", "no-store")
		if client := x.RemoteAddr(); client != (netip.AddrPort{}) {
			_ = x.SetHeader("x-connection", client.String()) // by this the page counts connections
		}
		_ = x.SendString(200, fmt.Sprintf(tileImage, n%tileColumns, n/tileColumns))
	}
	if delay == 0 {
		send(x)
		return
	}
	async := x.Async()
	time.AfterFunc(time.Duration(delay)*time.Millisecond, func() { _ = async.Do(send) })
}

// queryNumber reads a whole number of the query, or answers with 400 and
// reports false.
func queryNumber(x *loop.Exchange, name string, otherwise, least, most int, unit string) (n int, ok bool) {
	query, err := url.ParseQuery(x.RawQuery())
	if err == nil && !query.Has(name) {
		return otherwise, true
	}
	if err == nil {
		n, err = strconv.Atoi(query.Get(name))
	}
	if err != nil || n < least || n > most {
		_ = x.SendString(400, fmt.Sprintf("%s must be a whole number from %d to %d (%s)\n", name, least, most, unit))
		return 0, false
	}
	return n, true
}
