package h2

import "github.com/h2loop/h2loop/frames"

// A testSource yields pieces, one a Pull, and the end with the last.
type testSource struct {
	*testRelease
	tc     *testConn
	id     frames.StreamID
	pieces []string // "" means nothing is ready
	open   bool     // the last piece is not the end
	pulls  int
	max    []int // what Pull was told
	err    error // instead of a piece, after the last
	during func(s *testSource)
	buf    []byte // lends each piece, and is overwritten at the next Pull
}

// source returns a Source for stream id that the end of the test checks to be
// released once.
func (tc *testConn) source(id frames.StreamID, pieces ...string) *testSource {
	s := &testSource{tc: tc, id: id, pieces: pieces, testRelease: tc.release("source")}
	s.then = s.spoil
	return s
}

// spoil overwrites what was lent.
func (s *testSource) spoil() {
	for i := range s.buf {
		s.buf[i] = '!'
	}
	s.buf = s.buf[:0]
}

func (s *testSource) Pull(limit int) (p []byte, end bool, err error) {
	if s.n != 0 {
		s.tc.t.Errorf("source of %d asked after release", s.id)
	}
	if limit <= 0 {
		s.tc.t.Errorf("source of %d asked for %d octets", s.id, limit)
	}
	s.pulls++
	s.max = append(s.max, limit)
	s.spoil()
	if s.during != nil {
		s.during(s)
	}
	if len(s.pieces) == 0 {
		return nil, !s.open && s.err == nil, s.err
	}
	s.buf = append(s.buf, s.pieces[0]...)
	s.pieces = s.pieces[1:]
	return s.buf, len(s.pieces) == 0 && !s.open && s.err == nil, nil
}
