package main

import (
	"fmt"
	"strings"
)

// The varied workloads ask for many paths with the fields that browsers send,
// so that what a server remembers of the last request helps it no more than it
// would with visitors. Each answer is that of /bench/hello, whose cost they
// compare with.

const (
	variedCount  = 300
	variedPrefix = "/bench/varied/"
	variedPath   = variedPrefix + "articles-000"
)

// variedNames returns the last segment of each path, which is the name of a
// file for servers that have files.
func variedNames() []string {
	kinds := []string{"articles", "img", "assets", "users", "products", "search"}
	names := make([]string, variedCount)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%03d", kinds[i%len(kinds)], i)
	}
	return names
}

// variedTargets returns the paths, some with a query.
func variedTargets() []string {
	targets := variedNames()
	for i, name := range targets {
		targets[i] = variedPrefix + name
		switch i % 5 {
		case 1:
			targets[i] += fmt.Sprintf("?v=%x", uint32(i)*2654435761)
		case 3:
			targets[i] += fmt.Sprintf("?page=%d&sort=date&utm_source=newsletter", i)
		}
	}
	return targets
}

type field struct{ name, value string }

// variedFields are the fields of browsers. h2load sends the first set only, wrk
// takes turns.
var variedFields = [][]field{
	{
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"},
		{"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"},
		{"accept-encoding", "gzip, deflate, br, zstd"},
		{"accept-language", "en-US,en;q=0.9"},
		{"sec-ch-ua", `"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"`},
		{"sec-ch-ua-mobile", "?0"},
		{"sec-ch-ua-platform", `"Linux"`},
		{"sec-fetch-dest", "document"},
		{"sec-fetch-mode", "navigate"},
		{"sec-fetch-site", "same-origin"},
		{"upgrade-insecure-requests", "1"},
		{"cookie", "session=4fz9Qv1wq8y0sJm3xPp7cA; theme=dark; consent=all; _ga=GA1.1.1848129.1731600000"},
	},
	{
		{"user-agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"},
		{"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"accept-language", "de,en-US;q=0.7,en;q=0.3"},
		{"accept-encoding", "gzip, deflate, br, zstd"},
		{"dnt", "1"},
		{"sec-fetch-dest", "document"},
		{"sec-fetch-mode", "navigate"},
		{"sec-fetch-site", "cross-site"},
		{"priority", "u=0, i"},
		{"cookie", "session=r1Yk0tXo2n5Bq7Lw9Zc3uE; lang=de"},
	},
	{
		{"user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"},
		{"accept", "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"},
		{"accept-language", "fr-FR,fr;q=0.9"},
		{"accept-encoding", "gzip, deflate, br"},
		{"referer", "https://www.example.org/articles/2024/11/a-page-with-a-long-name"},
		{"sec-fetch-dest", "image"},
		{"sec-fetch-mode", "no-cors"},
		{"sec-fetch-site", "same-site"},
	},
	{
		{"user-agent", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"},
		{"accept", "application/json, text/plain, */*"},
		{"accept-encoding", "gzip, deflate, br, zstd"},
		{"accept-language", "es-ES,es;q=0.9,en;q=0.8"},
		{"x-requested-with", "XMLHttpRequest"},
		{"sec-fetch-dest", "empty"},
		{"sec-fetch-mode", "cors"},
		{"sec-fetch-site", "same-origin"},
		{"referer", "https://www.example.org/search?q=event+loop"},
		{"cookie", "session=h8Gd2sKe6vNa1mTi4rWb0y; cart=3; ab=variant-b; seen=1731600000.1731611111.4"},
	},
}

// variedURLs is h2load's input, which takes the origin from elsewhere.
func variedURLs() []byte {
	var b strings.Builder
	for _, target := range variedTargets() {
		fmt.Fprintf(&b, "http://127.0.0.1%s\n", target)
	}
	return []byte(b.String())
}

// variedRequests is the input of wrk/varied.lua.
func variedRequests() []byte {
	var b strings.Builder
	for i, target := range variedTargets() {
		fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", target)
		for _, f := range variedFields[i%len(variedFields)] {
			fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
		}
		b.WriteString("\r\n")
	}
	return []byte(b.String())
}
