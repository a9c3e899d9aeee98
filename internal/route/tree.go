package route

import "strings"

// A node is a place in the tree of the patterns of one host and method: its
// children are the segments that may follow.
type node struct {
	leaf     *pattern // ends here
	literals children
	wild     *node
	rest     *pattern // takes all that follows
}

// children maps the texts of literals to nodes.
type children struct {
	texts []string
	nodes []*node
	index map[string]*node // only above maxScan
}

// maxScan is the number of children up to which comparing each is faster than
// a map: BenchmarkChildren.
const maxScan = 16

func (c *children) find(text string) *node {
	if c.index != nil {
		return c.index[text]
	}
	for i, t := range c.texts {
		if t == text {
			return c.nodes[i]
		}
	}
	return nil
}

func (c *children) add(text string) *node {
	if n := c.find(text); n != nil {
		return n
	}
	n := new(node)
	c.texts, c.nodes = append(c.texts, text), append(c.nodes, n)
	switch {
	case c.index != nil:
		c.index[text] = n
	case len(c.texts) > maxScan:
		c.index = make(map[string]*node)
		for i, t := range c.texts {
			c.index[t] = c.nodes[i]
		}
	}
	return n
}

// add puts p, which conflicts with nothing there, under n.
func (n *node) add(p *pattern) {
	for _, s := range p.segs {
		switch s.kind {
		case literal:
			n = n.literals.add(s.text)
		case wild:
			if n.wild == nil {
				n.wild = new(node)
			}
			n = n.wild
		case rest:
			n.rest = p
			return
		}
	}
	n.leaf = p
}

// A search is the state of one walk down a tree.
type search struct {
	escaped bool     // the path has percent escapes
	slash   bool     // the path is taken as if a slash followed it
	values  []string // of the wildcards so far
}

// walk returns the most specific pattern under n that matches path, and leaves
// the values of its wildcards behind those already in s.values.
//
// Among patterns that do not conflict, a literal is more specific than a
// wildcard in its place and a wildcard than a rest; but the choice may prove
// wrong further down, so walk comes back to the others. It goes no deeper than
// the longest pattern, and visits no node twice.
func (n *node) walk(path string, s *search) *pattern {
	for {
		if path == "" && !s.slash {
			return n.leaf
		}
		if len(path) <= 1 { // a last slash
			return n.walkSlash(s)
		}
		text, after := path[1:], ""
		if i := strings.IndexByte(text, '/'); i >= 0 {
			text, after = text[:i], text[i:]
		}
		if s.escaped {
			text = unescape(text)
		}
		mark := len(s.values)
		if c := n.literals.find(text); c != nil {
			if n.wild == nil && n.rest == nil {
				n, path = c, after
				continue
			}
			if p := c.walk(after, s); p != nil {
				return p
			}
			s.values = s.values[:mark]
		}
		if n.wild != nil && text != endOfPath {
			s.values = append(s.values, text)
			if n.rest == nil {
				n, path = n.wild, after
				continue
			}
			if p := n.wild.walk(after, s); p != nil {
				return p
			}
			s.values = s.values[:mark]
		}
		return n.takeRest(path[1:], s)
	}
}

// walkSlash is walk for a path that has come down to "/".
func (n *node) walkSlash(s *search) *pattern {
	if c := n.literals.find(endOfPath); c != nil && c.leaf != nil {
		return c.leaf
	}
	return n.takeRest("", s)
}

// takeRest returns the pattern that takes all that follows n, if there is one.
func (n *node) takeRest(text string, s *search) *pattern {
	if n.rest == nil {
		return nil
	}
	if n.rest.segs[len(n.rest.segs)-1].text != "" {
		if s.escaped {
			text = unescape(text)
		}
		s.values = append(s.values, text)
	}
	return n.rest
}

// visitOverlaps calls f with every pattern under n that matches a path which
// segs match too.
func (n *node) visitOverlaps(segs []segment, f func(*pattern)) {
	if len(segs) == 0 {
		if n.leaf != nil {
			f(n.leaf)
		}
		return
	}
	if n.rest != nil {
		f(n.rest)
	}
	switch s := segs[0]; s.kind {
	case literal:
		if c := n.literals.find(s.text); c != nil {
			c.visitOverlaps(segs[1:], f)
		}
		if n.wild != nil && s.text != endOfPath {
			n.wild.visitOverlaps(segs[1:], f)
		}
	case wild:
		for i, c := range n.literals.nodes {
			if n.literals.texts[i] != endOfPath {
				c.visitOverlaps(segs[1:], f)
			}
		}
		if n.wild != nil {
			n.wild.visitOverlaps(segs[1:], f)
		}
	case rest:
		for _, c := range n.literals.nodes {
			c.visitAll(f)
		}
		if n.wild != nil {
			n.wild.visitAll(f)
		}
	}
}

// visitAll calls f with every pattern at and under n.
func (n *node) visitAll(f func(*pattern)) {
	if n.leaf != nil {
		f(n.leaf)
	}
	n.visitOverlaps([]segment{{kind: rest}}, f)
}
