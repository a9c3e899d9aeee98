package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/h2loop/h2loop/loop"
)

const (
	remembered = 10_000                 // uploads
	interval   = 100 * time.Millisecond // from one event to the next
)

// uploads are those that were announced, are under way, or have ended.
type uploads struct {
	ctx  context.Context // of the server: who watches is told to leave when it ends
	dir  string
	size int64 // largest

	mu    sync.Mutex
	byID  map[string]*upload
	order []string // the oldest first
}

// A phase is how far an upload is.
type phase string

const (
	announced phase = "announced"
	underWay  phase = "under way"
	complete  phase = "complete"
	failed    phase = "failed"
)

// An upload is one file.
type upload struct {
	mu    sync.Mutex
	state state
	ended chan struct{} // closed once it is complete, or has failed
}

// A state is what there is to say of an upload.
type state struct {
	ID       string `json:"id"`
	Phase    phase  `json:"phase"`
	Received int64  `json:"received"`
	Of       int64  `json:"of"` // -1 if the client did not say
	SHA256   string `json:"sha256,omitempty"`
}

func newUploads(ctx context.Context, dir string, size int64) *uploads {
	return &uploads{ctx: ctx, dir: dir, size: size, byID: map[string]*upload{}}
}

// create announces an upload: its progress can be watched before it begins.
func (us *uploads) create(x *loop.Exchange) {
	id := rand.Text() // not to be guessed, and fit for the name of a file
	u := &upload{state: state{ID: id, Phase: announced, Of: -1}, ended: make(chan struct{})}
	us.mu.Lock()
	us.byID[id] = u
	if us.order = append(us.order, id); len(us.order) > remembered {
		delete(us.byID, us.order[0])
		us.order = us.order[1:]
	}
	us.mu.Unlock()
	_ = x.SetHeader("location", "/uploads/"+id)
	_ = x.SendJSON(201, u.now())
}

// find returns the upload that the path names, or has the answer be 404.
func (us *uploads) find(x *loop.Exchange) *upload {
	us.mu.Lock()
	u := us.byID[x.PathValue("id")]
	us.mu.Unlock()
	if u == nil {
		_ = x.SendError(404, "no such upload")
	}
	return u
}

func (us *uploads) tell(x *loop.Exchange) {
	if u := us.find(x); u != nil {
		_ = x.SendJSON(200, u.now())
	}
}

// receive takes the body of an upload. It runs on a goroutine.
func (us *uploads) receive(_ context.Context, x *loop.Exchange) error {
	u := us.find(x)
	switch {
	case u == nil:
		return nil
	case x.ContentLength() > us.size: // before the client is told to go on
		return loop.ErrBodyTooLarge
	case !u.begin(x.ContentLength()):
		return x.SendError(409, "the upload has begun before")
	}
	body, err := x.BodyReader()
	if err == nil {
		err = us.save(u, body)
	}
	if err != nil {
		return err // 413, if the body is too large; there may be nobody who reads it
	}
	return x.SendJSON(200, u.now())
}

// save writes the body to a file that gets its name once it is complete.
func (us *uploads) save(u *upload, body io.Reader) (err error) {
	sum := ""
	defer func() { u.end(sum, err) }()
	f, err := os.CreateTemp(us.dir, "upload-*.part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in vain, if it has its own name
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash, u), io.LimitReader(body, us.size+1))
	if err != nil {
		return err
	}
	if n > us.size {
		return loop.ErrBodyTooLarge
	}
	if err := f.Close(); err != nil {
		return err
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	return os.Rename(f.Name(), filepath.Join(us.dir, u.now().ID))
}

func (u *upload) now() state {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// begin reports whether it is the first time.
func (u *upload) begin(length int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Phase != announced {
		return false
	}
	u.state.Phase, u.state.Of = underWay, length
	return true
}

// Write counts what was received.
func (u *upload) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Received += int64(len(p))
	return len(p), nil
}

func (u *upload) end(sum string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Phase, u.state.SHA256 = complete, sum; err != nil {
		u.state.Phase, u.state.SHA256 = failed, ""
	}
	close(u.ended)
}

// watch answers with events until the upload has ended.
func (us *uploads) watch(x *loop.Exchange) {
	u := us.find(x)
	if u == nil {
		return
	}
	_ = x.SetHeader("content-type", "text/event-stream")
	_ = x.SetHeader("cache-control", "no-store")
	ctx := x.Context()
	w, err := x.Writer(200, -1)
	if err != nil {
		return
	}
	go us.report(ctx, u, w)
}

// report writes the state of u whenever it is another, but not too often. A slow
// reader holds up nobody but this goroutine, and sees fewer states.
func (us *uploads) report(ctx context.Context, u *upload, w *loop.Writer) {
	defer w.Close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var told state
	for {
		if now := u.now(); now != told {
			data, err := json.Marshal(now)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
				return
			}
			if err := w.Flush(); err != nil || now.Phase == complete || now.Phase == failed {
				return
			}
			told = now
		}
		select {
		case <-ticker.C:
		case <-u.ended:
		case <-ctx.Done():
			return
		case <-us.ctx.Done():
			return
		}
	}
}
