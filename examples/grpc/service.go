package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/h2loop/h2loop/examples/grpc/words"
)

//go:generate protoc --go_out=words --go_opt=paths=source_relative --go-grpc_out=words --go-grpc_opt=paths=source_relative -I words words.proto

// A service counts words, splits texts and shouts. Its methods run on goroutines of
// their own, and may block.
type service struct {
	words.UnimplementedWordsServer
}

func (service) Count(_ context.Context, t *words.Text) (*words.Counted, error) {
	if t.GetText() == "" {
		return nil, status.Error(codes.InvalidArgument, "there is nothing to count")
	}
	return counted(t), nil
}

func (service) Split(t *words.Text, s grpc.ServerStreamingServer[words.Text]) error {
	for word := range strings.FieldsSeq(t.GetText()) {
		if err := s.Send(&words.Text{Text: word}); err != nil {
			return err // the client has gone
		}
	}
	return nil
}

func (service) Sum(s grpc.ClientStreamingServer[words.Text, words.Counted]) error {
	sum := new(words.Counted)
	for {
		t, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(sum)
		} else if err != nil {
			return err
		}
		sum.Words += counted(t).GetWords()
	}
}

func (service) Shout(s grpc.BidiStreamingServer[words.Text, words.Text]) error {
	for {
		t, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.Send(&words.Text{Text: strings.ToUpper(t.GetText())}); err != nil {
			return err
		}
	}
}

func counted(t *words.Text) *words.Counted {
	return &words.Counted{Words: int64(len(strings.Fields(t.GetText())))}
}
