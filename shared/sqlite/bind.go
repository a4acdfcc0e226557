package sqlite

import (
	"errors"
	"time"

	"zombiezen.com/go/sqlite"
)

// binder binds the parameters of a statement in their order.
type binder struct {
	stmt *sqlite.Stmt
	n    int
}

// prepare returns the cached statement of a query, ready to be bound.
func prepare(c *sqlite.Conn, query string) *binder { return &binder{stmt: c.Prep(query)} }

func (b *binder) text(v string) *binder {
	b.n++
	b.stmt.BindText(b.n, v)
	return b
}

func (b *binder) blob(v []byte) *binder {
	b.n++
	b.stmt.BindBytes(b.n, v)
	return b
}

func (b *binder) int(v int) *binder {
	b.n++
	b.stmt.BindInt64(b.n, int64(v))
	return b
}

func (b *binder) bool(v bool) *binder {
	b.n++
	b.stmt.BindBool(b.n, v)
	return b
}

func (b *binder) time(t time.Time) *binder { return b.int(int(micros(t))) }

func (b *binder) duration(d time.Duration) *binder { return b.int(int(d.Microseconds())) }

// exec runs a statement that returns no rows.
func (b *binder) exec() error {
	_, err := b.stmt.Step()
	if err2 := b.stmt.Reset(); err == nil {
		err = err2
	}
	return err
}

// errEnough ends each without an error.
var errEnough = errors.New("enough")

// each calls f for every row, until it returns errEnough.
func (b *binder) each(f func(*row) error) error {
	defer b.stmt.Reset()
	for {
		found, err := b.stmt.Step()
		if err != nil || !found {
			return err
		}
		if err := f(&row{stmt: b.stmt}); err != nil {
			if errors.Is(err, errEnough) {
				err = nil
			}
			return err
		}
	}
}

// one calls f for the first row and tells whether there was one.
func (b *binder) one(f func(*row) error) (found bool, err error) {
	defer b.stmt.Reset()
	found, err = b.stmt.Step()
	if err != nil || !found {
		return false, err
	}
	return true, f(&row{stmt: b.stmt})
}

// row reads the columns of a row in their order.
type row struct {
	stmt *sqlite.Stmt
	n    int
}

func (r *row) next() int {
	r.n++
	return r.n - 1
}

func (r *row) text() string { return r.stmt.ColumnText(r.next()) }

func (r *row) blob() []byte {
	i := r.next()
	b := make([]byte, r.stmt.ColumnLen(i))
	r.stmt.ColumnBytes(i, b)
	return b
}

func (r *row) int() int { return int(r.stmt.ColumnInt64(r.next())) }

func (r *row) bool() bool { return r.stmt.ColumnInt64(r.next()) != 0 }

func (r *row) time() time.Time { return fromMicros(r.stmt.ColumnInt64(r.next())) }

func (r *row) duration() time.Duration {
	return time.Duration(r.stmt.ColumnInt64(r.next())) * time.Microsecond
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
