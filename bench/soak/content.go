package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A file is one that a site serves.
type file struct {
	name string
	body []byte
	text bool // it is sent compressed to those who like that
}

// hosts are the names of the sites. They serve files of the same names and sizes, and of
// other contents.
var hosts = []string{"a.test", "b.test"}

const (
	small = iota
	page
	style
	picture
	large
	larger
)

// A site is what one serves.
type site struct {
	host  string
	files []file
}

func newSite(seed int) *site {
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	return &site{host: hosts[seed], files: []file{
		small:   {"small.txt", words(rnd, 700), true},
		page:    {"page.html", words(rnd, 8<<10), true},
		style:   {"style.css", words(rnd, 40<<10), true},
		picture: {"picture.png", noise(rnd, 20<<10), false},
		large:   {"large.bin", noise(rnd, 3<<20), false},
		larger:  {"larger.bin", noise(rnd, 16<<20), false},
	}}
}

// write writes the files below dir, one of them hidden, and one beside it.
func (s *site) write(dir string) error {
	root := filepath.Join(dir, s.host)
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	for _, f := range append(s.files, file{name: ".hidden", body: []byte("hidden")}, file{name: "index.html", body: []byte("index")}) {
		if err := os.WriteFile(filepath.Join(root, f.name), f.body, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func noise(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func words(rnd *rand.Rand, n int) []byte {
	list := []string{"region", "stream", "frame", "window", "loop", "batch", "octet", "of", "the", "and", "a", "is", "\n"}
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = append(append(b, list[rnd.IntN(len(list))]...), ' ')
	}
	return b[:n]
}
