// Package files serves a directory on the event loop.
//
//	dir, err := files.New("/srv/www", files.Options{})
//	srv.Handle("/static/{path...}", dir.Handler("path"))
//	err = srv.Run(ctx)
//	dir.Close()
//
// It answers GET and HEAD: whole files, one range of a file, and conditional
// requests by ETag and Last-Modified. A path that names a directory leads to
// the index.html in it. Nothing outside the directory is reached, whatever the
// path says and wherever symbolic links point ([os.Root] sees to that), and no
// name that begins with a dot.
//
// # What may block
//
// A disk may take its time, so no loop waits for it. Paths are opened and small
// files are read by a bounded number of goroutines, behind a queue of bounded
// length; a request that finds the queue full is answered with 503 and
// Retry-After. A small file is read whole and sent as one region. A larger one
// is read a chunk at a time: on the loop as long as the kernel has the contents
// in memory, which is a copy and no wait, and otherwise by one of those
// goroutines, a chunk ahead of what is being sent. A response holds two chunks
// at most, whatever its length, and all chunks together have a budget: as it is
// used up, chunks become smaller.
//
// # Files that change
//
// A response goes on from the file that was opened, so that a file which is
// replaced by another is still sent whole. One that shrinks ends its response
// in a stream error: the client cannot take what it got for the whole.
package files
