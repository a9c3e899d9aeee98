package message

import "testing"

func TestReleaseFunc(t *testing.T) {
	n := 0
	var r Releaser = ReleaseFunc(func() { n++ })
	if r.Release(); n != 1 {
		t.Errorf("called %d times", n)
	}
}

// TestReset sees that a request that is used again has nothing of the last one,
// and that one with very many fields does not keep their memory.
func TestReset(t *testing.T) {
	r := Request{Method: "GET", Path: "/", Protocol: "x", ContentLength: 3}
	r.Fields = append(make([]Field, 0, 4), Field{Name: "a", Value: "b"})
	r.Trailers = make([]Field, MaxKeptFields+1)
	if r.Field("a") != "b" || r.Field("b") != "" {
		t.Errorf("a=%q b=%q", r.Field("a"), r.Field("b"))
	}
	r.Reset()
	if r.Method+r.Path+r.Protocol != "" || r.ContentLength != 0 || len(r.Fields) != 0 || r.Trailers != nil {
		t.Errorf("%+v", r)
	}
	if f := r.Fields[:1]; cap(r.Fields) != 4 || f[0] != (Field{}) {
		t.Errorf("fields %+v, room for %d", f, cap(r.Fields))
	}
}

// lateFields count how often they are made.
type lateFields struct{ n int }

func (f *lateFields) AppendFields(dst []Field) []Field {
	f.n++
	return append(dst, Field{Name: "a", Value: "b"})
}

func TestReadFields(t *testing.T) {
	late := &lateFields{}
	r := Request{Late: late}
	for range 2 {
		if f := r.ReadFields(); len(f) != 1 || r.Field("a") != "b" {
			t.Errorf("%+v", f)
		}
	}
	if late.n != 1 {
		t.Errorf("made %d times", late.n)
	}
	r.Late = late
	if r.Reset(); r.Late != nil || len(r.ReadFields()) != 0 {
		t.Errorf("%+v", r)
	}
}
