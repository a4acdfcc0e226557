package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/freeport"
)

// serverWait is how long a Java program may take to start on a busy machine.
const serverWait = 2 * time.Minute

// server is a DynamoDB Local of our own.
type server struct {
	url  string
	stop func()
}

// startDynamoDB starts the DynamoDB Local that .ci/tools installed, in memory,
// and waits until it answers. It ends with stop or with ctx.
func startDynamoDB(ctx context.Context) (server, error) {
	dir, err := filepath.Abs(filepath.Join("build", "tools", "dynamodb-local"))
	if err != nil {
		return server{}, err
	}
	if _, err := os.Stat(dir + ".version"); err != nil {
		return server{}, errors.New("DynamoDB Local is not installed; run `make tools` in the folder of the Makefile, or give -dynamodb the URL of one")
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return server{}, fmt.Errorf("DynamoDB Local needs java, 17 or newer: %w", err)
	}
	port, err := freeport.Find()
	if err != nil {
		return server{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, java, "-Xmx1g", "-XX:+UseSerialGC", "-Djava.library.path="+dir, "-cp", filepath.Join(dir, "*"),
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", strconv.Itoa(port))
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		cancel()
		return server{}, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // that it ended is all that matters
	}()
	s := server{url: fmt.Sprintf("http://localhost:%d", port), stop: func() { cancel(); <-ended }}
	if err := answers(ctx, s.url, ended); err != nil {
		s.stop()
		return server{}, err
	}
	return s, nil
}

// answers waits until a server says anything at all.
func answers(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body) // what it says does not matter
			return response.Body.Close()
		}
		select {
		case <-ended:
			return errors.New("DynamoDB Local ended instead of answering")
		case <-ctx.Done():
			return fmt.Errorf("wait for DynamoDB Local: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
