// Package files serves a directory on the event loop.
//
//	dir, err := files.New("/srv/www", files.Options{})
//	srv.Handle("/static/{path...}", dir.Handler("path"))
//	err = srv.Run(ctx)
//	dir.Close()
//
// It answers GET and HEAD: whole files, one or several ranges of a file, and
// conditional requests by ETag and Last-Modified. A path that names a directory
// leads to the index.html in it ([Options.Index] names another), or, with
// [Options.List], to a list of what is in it. [Options.NotFound] is the page for what
// is not there. Nothing outside the directory is reached, whatever the path says and
// wherever symbolic links point ([os.Root] sees to that), and no name that begins with
// a dot, but .well-known in the root (RFC 8615). Links are followed if they are relative
// and stay inside; an absolute one is not, wherever it points. The directory is opened by
// [New]: if it is itself a link, to exchange that changes nothing.
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
// # The cache
//
// What was found out about a file is remembered, and so are the contents of one
// of up to 256 KiB: then a request is answered on the loop, the contents are
// referenced and not copied, and the disk is not asked. It is asked again, by one
// of the goroutines, once [Options.CacheValid] is over: a change of the file, or of
// those beside it, is seen after so long at most. A version is known by its length,
// the times of its last change, and its inode. A file that was changed within the
// last second is not remembered, because it may change again without its times
// doing so. Where several ask at once for what the disk is to be asked for, one
// request looks and the others wait for what it finds.
//
// [Options.Cache] bounds what is held, that which slow clients have not been sent
// yet included. What was not asked for of late makes room.
//
// # Compression
//
// Beside a.css there may be a.css.br, a.css.zst and a.css.gz: the same,
// compressed, and not older than it, in whole seconds: one that is is not used. A
// client gets the one that its Accept-Encoding likes best. With [Options.Compress], files of text are compressed with zstd or
// gzip if none of those beside them will do: once for all who ask, on goroutines
// that leave half of the CPUs alone. The result is kept in the cache.
//
// Each representation has an ETag of its own, and Vary is sent wherever there is a
// choice. Ranges are those of the representation that was chosen; what we compress
// has none, so that a request with Range gets a range of the file. A client that
// excludes all that there is, as with "identity;q=0", gets 406.
//
// # Files that change
//
// A response goes on from the file that was opened, so that a file which is
// replaced by another is still sent whole. One that shrinks ends its response
// in a stream error: the client cannot take what it got for the whole.
package files
