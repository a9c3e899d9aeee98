package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errNoUser = errors.New("no such user")

// A store stands for a database: each call takes a while, and ends early with its
// context, which is that of the request.
type store struct {
	latency time.Duration
	emails  sync.Map // by name
}

func (s *store) email(ctx context.Context, name string) (string, error) {
	if err := s.wait(ctx); err != nil {
		return "", err
	}
	email, ok := s.emails.Load(name)
	if !ok {
		return "", errNoUser
	}
	return email.(string), nil
}

func (s *store) setEmail(ctx context.Context, name, email string) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	s.emails.Store(name, email)
	return nil
}

func (s *store) wait(ctx context.Context) error {
	select {
	case <-time.After(s.latency):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
