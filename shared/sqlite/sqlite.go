// Package sqlite is the store and the queue of the standalone host, in one
// SQLite file: jobs with their change feed, accounts, endpoints, events,
// deliveries, attempts, result sets, bulk resends, and queues that behave as SQS
// does.
//
// All writes go through one goroutine, which gathers those that wait into one
// transaction (group commit), so that a durable write costs a share of one
// fsync. Reads use connections of their own and see what is committed.
package sqlite

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/jobhook/jobhook/shared/webhook"
)

// FileName is the name of the database in the data folder.
const FileName = "jobhook.db"

// Durability says what an acknowledged write survives.
type Durability string

// The durabilities.
const (
	DurablePower   Durability = "power"   // power loss: fsync before the acknowledgement
	DurableProcess Durability = "process" // a killed process, not a power loss
)

// Sealer encrypts the secrets of endpoints at rest.
type Sealer interface {
	Seal(plain []byte, account string) ([]byte, error)
	Open(sealed []byte, account string) ([]byte, error)
}

// Options configure a Store.
type Options struct {
	Durability Durability // empty is DurablePower
	Readers    int        // reading connections; 0 is 4
	Sealer     Sealer     // required
	Log        *slog.Logger
}

// Store keeps everything but the queues' messages in memory. Its methods may
// be called from any goroutine.
type Store struct {
	writer  *writer
	readers *readers
	lists   *readers
	seal    Sealer
	log     *slog.Logger

	endpoints accountCache[[]webhook.Endpoint]
	quotas    accountCache[webhook.Quotas]
	silences  silences
	health    healthMemory
	hosts     hosts
	leases    leases
	stats     pendingStats
	feed      feed
	messages  messageNumbers
	stop      context.CancelFunc
	wait      sync.WaitGroup
}

// Open opens the store in the folder dir, which must exist, and brings its
// tables up to date.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	path := filepath.Join(dir, FileName)
	conn, err := openWriter(ctx, path, o.Durability)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	readers, err := openReaders(path, cmp.Or(o.Readers, 4))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	lists, err := openReaders(path, listReaders)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s for lists: %w", path, err), readers.close(), conn.Close())
	}
	s := &Store{readers: readers, lists: lists, seal: o.Sealer, log: o.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := s.start(conn, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), lists.close(), readers.close(), conn.Close())
	}
	return s, nil
}

func (s *Store) start(conn *sqlite.Conn, path string) error {
	checkpointer, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	if err != nil {
		return fmt.Errorf("connection for checkpoints: %w", err)
	}
	if err := s.checkSeal(conn); err != nil {
		checkpointer.Close()
		return err
	}
	if err := s.loadMemory(conn); err != nil {
		checkpointer.Close()
		return err
	}
	s.writer = newWriter(conn, checkpointer, s.log)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wait.Go(func() { s.flushStats(ctx) })
	return nil
}

// loadMemory reads the little that is kept in memory.
func (s *Store) loadMemory(conn *sqlite.Conn) error {
	for _, load := range []func(*sqlite.Conn) error{s.feed.load, s.messages.load, s.silences.load, s.health.load, s.hosts.load} {
		if err := load(conn); err != nil {
			return err
		}
	}
	return nil
}

// Close finishes the writes under way, copies the write-ahead log back into
// the database, and closes the file: what is left is one file.
func (s *Store) Close() error {
	s.stop()
	s.wait.Wait()
	return errors.Join(s.lists.close(), s.readers.close(), s.writer.close())
}

func openWriter(ctx context.Context, path string, d Durability) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	sync := "FULL"
	if d == DurableProcess {
		sync = "NORMAL"
	}
	err = sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = "+sync, nil)
	for _, pragma := range []string{"PRAGMA cache_size = -16384", "PRAGMA wal_autocheckpoint = 0"} {
		if err == nil {
			err = sqlitex.ExecuteTransient(conn, pragma, nil)
		}
	}
	if err == nil {
		err = migrate(ctx, conn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations that the file has not seen. They are applied
// in the order of their names and never change once released.
func migrate(ctx context.Context, conn *sqlite.Conn) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	schema := sqlitemigration.Schema{AppID: appID}
	for _, name := range names {
		script, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		schema.Migrations = append(schema.Migrations, string(script))
	}
	if err := checkOwn(conn, len(names)); err != nil {
		return err
	}
	if err := sqlitemigration.Migrate(ctx, conn, schema); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// appID marks our files: "JH".
const appID = 0x4a48

// checkOwn refuses a file that is another program's, or a later version's.
func checkOwn(conn *sqlite.Conn, newest int) error {
	tables, err := sqlitex.ResultInt(conn.Prep("SELECT count(*) FROM sqlite_master"))
	if err != nil {
		return err
	}
	id, err := sqlitex.ResultInt(conn.Prep("PRAGMA application_id"))
	if err != nil {
		return err
	}
	if id != appID && (id != 0 || tables > 0) {
		return fmt.Errorf("it is no Jobhook database (application id %#x); choose another data folder", id)
	}
	version, err := sqlitex.ResultInt(conn.Prep("PRAGMA user_version"))
	if err == nil && version > newest {
		err = fmt.Errorf("its version is %d and this program knows %d; run a newer Jobhook", version, newest)
	}
	return err
}

// listReaders is the number of connections for lists, which may look at many
// rows. They are apart so that lists cannot hold up deliveries.
const listReaders = 2

// list runs f on a connection for lists.
func (s *Store) list(ctx context.Context, f func(*sqlite.Conn) error) error {
	return s.lists.do(ctx, f)
}

// read runs f on a reading connection.
func (s *Store) read(ctx context.Context, f func(*sqlite.Conn) error) error {
	return s.readers.do(ctx, f)
}

// write runs f in a transaction and returns when it is durable.
func (s *Store) write(ctx context.Context, f func(*tx) error) error {
	return s.writer.do(ctx, f)
}

// conn shortens the name of the driver's connection.
type conn = *sqlite.Conn

// readOne runs f on a reading connection and turns "no row" into webhook.ErrNotFound.
func (s *Store) readOne(ctx context.Context, f func(conn) (found bool, err error)) error {
	return s.read(ctx, func(c conn) error { return notFound(f(c)) })
}

// writeSoon is write for what nobody is in a hurry for: it costs a share of
// somebody else's commit rather than one of its own.
func (s *Store) writeSoon(ctx context.Context, f func(*tx) error) error {
	return s.writer.doPatiently(ctx, f)
}

// notFound turns "no row" into webhook.ErrNotFound.
func notFound(found bool, err error) error {
	if err == nil && !found {
		return webhook.ErrNotFound
	}
	return err
}
