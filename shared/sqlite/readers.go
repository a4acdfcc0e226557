package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// readers are the reading connections. Unlike sqlitex.Pool they do not watch
// the context while a query runs, which took a goroutine per read: queries are
// short, and a context that ends meanwhile lets them finish.
type readers struct {
	free   chan conn
	closed chan struct{}
	once   sync.Once
}

func openReaders(path string, n int) (*readers, error) {
	r := &readers{free: make(chan conn, n), closed: make(chan struct{})}
	for range n {
		c, err := openReader(path)
		if err != nil {
			return nil, errors.Join(err, r.closeFree())
		}
		r.free <- c
	}
	return r, nil
}

func openReader(path string) (conn, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly|sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(5 * time.Second)
	if err := sqlitex.ExecuteTransient(c, "PRAGMA cache_size = -1024", nil); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// do runs f on a connection of its own.
func (r *readers) do(ctx context.Context, f func(conn) error) error {
	select {
	case <-r.closed:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("reading connection: %w", ctx.Err())
	default:
	}
	select {
	case c := <-r.free:
		defer func() { r.free <- c }()
		return f(c)
	case <-r.closed:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("reading connection: %w", ctx.Err())
	}
}

// snapshot lets all queries of f see the same moment. They also cost less
// than each in a transaction of its own.
func snapshot(c conn, f func() error) (err error) {
	if err := prepare(c, "BEGIN").exec(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { err = errors.Join(err, prepare(c, "ROLLBACK").exec()) }()
	return f()
}

// close waits for the reads under way.
func (r *readers) close() (err error) {
	r.once.Do(func() {
		close(r.closed)
		for range cap(r.free) {
			err = errors.Join(err, (<-r.free).Close())
		}
	})
	return err
}

// closeFree closes the connections that are not in use.
func (r *readers) closeFree() (err error) {
	for len(r.free) > 0 {
		err = errors.Join(err, (<-r.free).Close())
	}
	return err
}
