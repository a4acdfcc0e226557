package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/storetest"
)

func TestMain(m *testing.M) { os.Exit(awstest.Main(m)) }

func TestStoreKeepsItsPromises(t *testing.T) {
	server := awstest.DynamoDB(t)
	client := dynamodb.NewFromConfig(server.Config())
	storetest.Store(t, storetest.RealTime(), func(t *testing.T) storetest.StoreUnderTest { return open(t, client, false) })
}

// TestFirstAttemptsNeedNoConsistentReads runs the promises with the reads of
// the first lane, and its gathered writes. The server is never late, so this
// holds the rest of that way.
func TestFirstAttemptsNeedNoConsistentReads(t *testing.T) {
	server := awstest.DynamoDB(t)
	client := dynamodb.NewFromConfig(server.Config())
	storetest.Store(t, storetest.RealTime(), func(t *testing.T) storetest.StoreUnderTest { return open(t, client, true) })
}

// store is a store whose clock is moved by Expire: what DynamoDB removes by
// itself is gone when its readers think it is later.
type store struct {
	*dynamo.Store
	clock *clock
}

type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (s store) Expire(ctx context.Context, now time.Time, limit int) (int, error) {
	s.clock.ahead.Store(int64(time.Until(now)))
	return s.Store.Expire(ctx, now, limit)
}

// open makes tables of their own for each promise.
func open(t *testing.T, client *dynamodb.Client, eventually bool) store {
	t.Helper()
	deliveries, jobs := awstest.Name("deliveries"), awstest.Name("jobs")
	if err := dynamo.CreateTables(t.Context(), client, deliveries, jobs); err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	s := store{clock: c, Store: dynamo.New(dynamo.Options{
		Client: client, Deliveries: deliveries, Jobs: jobs, Sealer: prefixSealer{}, Eventually: eventually,
		Now: c.now, Log: slog.New(slog.DiscardHandler),
	})}
	if eventually {
		dynamo.Gather(s.Store, time.Millisecond)
	}
	return s
}

// prefixSealer hides nothing, but tells whose secret it sealed.
type prefixSealer struct{}

func (prefixSealer) Seal(_ context.Context, plain []byte, account string) ([]byte, error) {
	return append([]byte(account+"|"), plain...), nil
}

func (prefixSealer) Open(_ context.Context, sealed []byte, account string) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, []byte(account+"|"))
	if !ok {
		return nil, errors.New("sealed for another account")
	}
	return plain, nil
}
