package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/h2loop/h2loop/loop"
)

const (
	maxBody = 64 << 10 // octets of a request body
	maxPage = 100      // items in one list
)

// An api answers requests about items.
type api struct {
	items *store
	token string
}

func newAPI(token string) *api { return &api{items: newStore(), token: token} }

func (a *api) register(srv *loop.Server) {
	g := srv.Group("/api")
	g.Handle("GET /items", a.list) // and HEAD
	g.Handle("GET /items/{id}", withID(a.get))
	g.Handle("POST /items", withItem(a.create), a.authorized)
	g.Handle("PUT /items/{id}", withID(a.replace), a.authorized)
	g.Handle("DELETE /items/{id}", withID(a.remove), a.authorized)

	// Any other method. Without these the server answers 405 itself, as text.
	g.Handle("/items", methodNotAllowed("GET, HEAD, POST"))
	g.Handle("/items/{id}", methodNotAllowed("GET, HEAD, PUT, DELETE"))
	srv.NotFound(func(x *loop.Exchange) { problem(x, 404, "there is nothing at "+x.Path()) })
}

// authorized is middleware that lets only those through who know the token.
func (a *api) authorized(next loop.Handler) loop.Handler {
	return func(x *loop.Exchange) {
		scheme, token, _ := strings.Cut(x.Header("authorization"), " ")
		if !strings.EqualFold(scheme, "bearer") || subtle.ConstantTimeCompare([]byte(token), []byte(a.token)) == 0 {
			_ = x.SetHeader("www-authenticate", "Bearer")
			problem(x, 401, "changes need a token")
			return
		}
		next(x)
	}
}

// list answers with a page of items, in the order of their numbers.
func (a *api) list(x *loop.Exchange) {
	limit, after := maxPage, int64(0)
	var err error
	if s := x.Query().Get("limit"); s != "" {
		limit, err = strconv.Atoi(s)
	}
	if s := x.Query().Get("after"); s != "" && err == nil {
		after, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil || limit < 1 {
		problem(x, 400, "limit and after are numbers")
		return
	}
	items, more := a.items.page(after, min(limit, maxPage))
	if more {
		_ = x.SetHeader("link", fmt.Sprintf("<?limit=%d&after=%d>; rel=\"next\"", limit, items[len(items)-1].ID))
	}
	_ = x.SendJSON(200, items)
}

func (a *api) get(x *loop.Exchange, id int64) {
	item, ok := a.items.get(id)
	if !ok {
		problem(x, 404, fmt.Sprint("there is no item ", id))
		return
	}
	_ = x.SendJSON(200, item)
}

func (a *api) create(x *loop.Exchange, item Item) {
	item = a.items.add(item)
	_ = x.SetHeader("location", fmt.Sprint("/api/items/", item.ID))
	_ = x.SendJSON(201, item)
}

func (a *api) replace(x *loop.Exchange, id int64) {
	withItem(func(x *loop.Exchange, item Item) {
		item.ID = id
		if !a.items.replace(item) {
			problem(x, 404, fmt.Sprint("there is no item ", id))
			return
		}
		_ = x.SendJSON(200, item)
	})(x)
}

func (a *api) remove(x *loop.Exchange, id int64) {
	if !a.items.remove(id) {
		problem(x, 404, fmt.Sprint("there is no item ", id))
		return
	}
	_ = x.Send(204, nil)
}

// withID makes a handler of one that wants the number in the path.
func withID(h func(x *loop.Exchange, id int64)) loop.Handler {
	return func(x *loop.Exchange) {
		id, err := strconv.ParseInt(x.PathValue("id"), 10, 64)
		if err != nil {
			problem(x, 404, "items have numbers")
			return
		}
		h(x, id)
	}
}

// withItem makes a handler of one that wants the item in the request body.
func withItem(h func(x *loop.Exchange, item Item)) loop.Handler {
	return func(x *loop.Exchange) {
		if t, _, err := mime.ParseMediaType(x.Header("content-type")); err != nil || t != "application/json" {
			problem(x, 415, "an item is application/json")
			return
		}
		if x.ContentLength() > maxBody { // a body that grows too long is answered as text
			problem(x, 413, fmt.Sprintf("an item has at most %d octets", maxBody))
			return
		}
		_ = x.ReadBody(maxBody, func(x *loop.Exchange, body []byte) {
			item, err := decodeItem(body)
			if err != nil {
				problem(x, 422, err.Error())
				return
			}
			h(x, item)
		})
	}
}

func decodeItem(body []byte) (item Item, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&item); err != nil {
		return item, err
	}
	switch _, err := d.Token(); {
	case !errors.Is(err, io.EOF):
		return item, errors.New("there is something behind the item")
	case item.ID != 0:
		return item, errors.New("the id is not yours to choose")
	case strings.TrimSpace(item.Name) == "":
		return item, errors.New("an item has a name")
	case item.Price < 0:
		return item, errors.New("a price is not negative")
	}
	return item, nil
}

func methodNotAllowed(allow string) loop.Handler {
	return func(x *loop.Exchange) {
		_ = x.SetHeader("allow", allow)
		problem(x, 405, x.Method()+" is not for this")
	}
}

// problem answers with problem details, RFC 9457. A small body that nobody has asked
// for ends first, so that its sender sees the answer and nothing else.
func problem(x *loop.Exchange, status int, detail string) {
	x.AfterBody(func(x *loop.Exchange) {
		_ = x.SetHeader("content-type", "application/problem+json")
		_ = x.SendJSON(status, struct {
			Title  string `json:"title"`
			Status int    `json:"status"`
			Detail string `json:"detail"`
		}{http.StatusText(status), status, detail})
	})
}
