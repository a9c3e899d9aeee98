// Stress measures what a server of this module does under load that benchmark
// clients do not make: readers that stop, small requests beside large bodies,
// urgent answers behind bulk. It runs the server in a process of its own and is
// its client:
//
//	go run ./bench/stress stall -conns 1000        # memory of readers that stop
//	go run ./bench/stress stall -streams 250       # the same, on one connection
//	go run ./bench/stress fairness                 # p99 beside 100 downloads
//	go run ./bench/stress urgent                   # octets and time before an urgent answer
//	go run ./bench/stress bulk                     # CPU of 10 MiB bodies by low-water mark
//	go run ./bench/stress gc                       # collections over bodies and requests
//	go run ./bench/stress hello -where all         # 20 000 handshakes that stop, and a good client
//	go run ./bench/stress rsa                      # small requests beside RSA handshakes
//	go run ./bench/stress idle                     # memory of idle connections, and whose it is
//	go run ./bench/stress chatty                   # 100 000 requests, a third cancelled
//	go run ./bench/stress scaling                  # a request with one loop and with two
//	go run ./bench/stress serve -addr :8080        # the server alone
//	go run ./bench/stress connect -addr HOST:PORT  # TLS connections alone
//
// The load goes to 127.0.0.1, and is bounded in count and time. Processes that it
// starts end with it: the server when its standard input closes.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func(args []string) error{
		"serve":    serve,
		"stall":    stall,
		"fairness": fairness,
		"urgent":   urgent,
		"bulk":     bulk,
		"gc":       collections,
		"hello":    hello,
		"rsa":      handshakes,
		"connect":  connect,
		"idle":     idle,
		"chatty":   chatty,
		"scaling":  scaling,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: stress serve|stall|fairness|urgent|bulk|gc|hello|rsa|idle|chatty|scaling|connect [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
		os.Exit(1)
	}
}
