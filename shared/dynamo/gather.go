package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Bounds of a group of inserts.
const (
	maxGroup  = 25              // statements of one BatchExecuteStatement
	insertFor = 5 * time.Second // how long the group may take
)

// errAlone says that an insert found no company, or was not done with it: the
// caller writes by a request of its own.
var errAlone = errors.New("not inserted with others")

// inserts gathers new rows, so that the attempts of a batch, which end at
// about the same time, are recorded by one request. It costs the same units
// and a sixth of the processor time. BatchWriteItem would overwrite what is
// there; the INSERT of PartiQL does not.
type inserts struct {
	wait    time.Duration                                 // of the first of a group, for company
	write   func(ctx context.Context, rows []item) []bool // which of them failed; nil: each is written alone
	mu      sync.Mutex
	awaited int    // rows that may still come
	open    *group // takes further rows
}

// Gather lets the first outcomes of what Load has read wait so long to be
// written together; the last of them does not wait. It is called before the
// store is used, by who records many at once. It is no method, so that only
// their binaries hold the code for it.
func Gather(s *Store, wait time.Duration) {
	s.inserts.wait, s.inserts.write = wait, func(ctx context.Context, rows []item) []bool { return writeTogether(ctx, s, rows) }
}

// expect counts the deliveries that were read and may be recorded together, so
// that the last of them need not wait for company. It is for one batch at a time.
// Those that are put off are not recorded: the next batches wait for as many, at
// most their time, unless they are larger.
func (i *inserts) expect(works []webhook.Work) {
	n := 0
	for _, w := range works {
		if w.Err == nil && w.Delivery.State == webhook.StateQueued && isPlain(w.Delivery) {
			n++
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.awaited = max(i.awaited, n)
}

// expectAgain counts one that could not be written: its caller tries again.
func (i *inserts) expectAgain() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.awaited++
}

// group is some rows on their way.
type group struct {
	rows   []item
	full   chan struct{} // closed when no further row fits, or none is to come
	done   chan struct{} // closed when failed is there
	failed []bool
}

// insert writes a row if there is none of its key. Any other outcome is
// errAlone, or ctx's end.
func (s *Store) insert(ctx context.Context, row item) error {
	if s.inserts.write == nil {
		return errAlone
	}
	g, at := s.inserts.join(row)
	if at == 0 {
		s.inserts.lead(ctx, g)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.failed[at] {
		return errAlone
	}
	return nil
}

// join adds a row to the open group, and returns its place there.
func (i *inserts) join(row item) (g *group, at int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = &group{full: make(chan struct{}), done: make(chan struct{})}
	}
	g = i.open
	g.rows = append(g.rows, row)
	if i.awaited = max(i.awaited-1, 0); i.awaited == 0 || len(g.rows) == maxGroup {
		close(g.full)
		i.open = nil
	}
	return g, len(g.rows) - 1
}

// shut takes no further rows into the group.
func (i *inserts) shut(g *group) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == g {
		i.open = nil
	}
}

// lead is done by the first of a group: it waits for company, then writes, even
// if the first is cancelled, but not past its deadline.
func (i *inserts) lead(ctx context.Context, g *group) {
	timer := time.NewTimer(i.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.full:
	}
	i.shut(g)
	g.failed = slices.Repeat([]bool{true}, len(g.rows))
	defer close(g.done)
	if len(g.rows) == 1 {
		return
	}
	within := insertFor
	if end, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(end))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	g.failed = i.write(ctx, g.rows)
}

// writeTogether inserts rows by one request, and tells which were not. Each of
// those is tried alone, and then tells what happened.
func writeTogether(ctx context.Context, s *Store, rows []item) []bool {
	in := &dynamodb.BatchExecuteStatementInput{Statements: make([]types.BatchStatementRequest, len(rows))}
	for n, row := range rows {
		in.Statements[n] = insertStatement(s.deliveries, row)
	}
	failed := slices.Repeat([]bool{true}, len(rows))
	out, err := s.db.BatchExecuteStatement(ctx, in)
	if err != nil {
		return failed
	}
	for n, answer := range out.Responses {
		failed[n] = answer.Error != nil
	}
	return failed
}

// statementRoom is about as much as a statement has for each attribute.
const statementRoom = 16

// insertStatement is PartiQL; the names are our own and need no escaping.
func insertStatement(table string, row item) types.BatchStatementRequest {
	var b strings.Builder
	b.Grow(len(table) + statementRoom*len(row))
	b.WriteString(`INSERT INTO "`)
	b.WriteString(table)
	b.WriteString(`" VALUE {`)
	separator := ""
	values := make([]types.AttributeValue, 0, len(row))
	for name, v := range row {
		b.WriteString(separator)
		b.WriteByte('\'')
		b.WriteString(name)
		b.WriteString(`':?`)
		separator = ","
		values = append(values, v)
	}
	b.WriteByte('}')
	statement := b.String()
	return types.BatchStatementRequest{Statement: &statement, Parameters: values}
}
