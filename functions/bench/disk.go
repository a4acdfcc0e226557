package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What the disk is asked: writes of a page each, made durable one by one, for
// as long as the shorter of the two limits says.
const (
	fsyncCount = 300
	fsyncTime  = 2 * time.Second
	fsyncBytes = 4096
)

// fsyncs measures how long the disk under a folder takes to keep a small write.
func fsyncs(folder string) (*histogram, error) {
	f, err := os.Create(filepath.Join(folder, "fsync"))
	if err != nil {
		return nil, err
	}
	h, err := timeFsyncs(f)
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	if err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	return h, nil
}

func timeFsyncs(f *os.File) (*histogram, error) {
	h, page, begun := newHistogram(), make([]byte, fsyncBytes), time.Now()
	for n := 0; n < fsyncCount && time.Since(begun) < fsyncTime; n++ {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		h.add(int64(time.Since(start)))
	}
	return h, nil
}
