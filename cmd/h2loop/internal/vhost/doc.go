// Package vhost serves several sites, each under names of hosts of its own, with its own
// certificates, directory and rules. All that is served hangs on one pointer, which is
// read for each request and each handshake, and exchanged upon a reload.
package vhost
