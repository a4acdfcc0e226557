package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// units are what DynamoDB charges for.
type units struct {
	Write float64 `json:"write"` // of 1 KB
	Read  float64 `json:"read"`  // of 4 KB; half a one where eventually consistent
}

// meter counts the requests to DynamoDB and the capacity that the server says
// they consumed.
type meter struct {
	mu       sync.Mutex
	requests map[string]int   // by operation
	consumed map[string]units // by table, and by index as table/index
	sent     int              // HTTP requests
	shared   int              // PutItems that shared a request with another
	fault    error            // the first reason not to trust the figures
}

func newMeter() *meter {
	m := &meter{}
	m.reset()
	return m
}

// reset forgets what was counted.
func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests, m.consumed, m.sent, m.shared = map[string]int{}, map[string]units{}, 0, 0
}

// client returns a client whose requests are counted.
func (m *meter) client(config aws.Config) *dynamodb.Client {
	config.HTTPClient = countedHTTP{m, config.HTTPClient}
	return dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Cost", m.handle), middleware.After)
		})
	})
}

// countedHTTP counts what goes over the wire, repetitions by the SDK too.
type countedHTTP struct {
	meter *meter
	next  aws.HTTPClient
}

// Do sends a request.
func (c countedHTTP) Do(r *http.Request) (*http.Response, error) {
	c.meter.mu.Lock()
	c.meter.sent++
	c.meter.mu.Unlock()
	return c.next.Do(r)
}

// handle asks for the consumed capacity and counts it.
func (m *meter) handle(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	asked := askForCapacity(in.Parameters)
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.count(in.Parameters, asked, out.Result, err)
	return out, metadata, err
}

func (m *meter) count(input any, asked bool, result any, err error) {
	operation := operationOf(input)
	m.mu.Lock()
	defer m.mu.Unlock()
	if in, ok := input.(*dynamodb.BatchExecuteStatementInput); ok {
		m.countInserts(in, result, err)
		return
	}
	m.requests[operation]++
	var refused *types.ConditionalCheckFailedException
	var canceled *types.TransactionCanceledException
	switch {
	case errors.As(err, &refused):
		m.consume("refused", units{Write: refusedUnits(refused.Item)})
	case errors.As(err, &canceled): // it costs as much as one that is made
		for _, reason := range canceled.CancellationReasons {
			m.consume("refused", units{Write: 2 * refusedUnits(reason.Item)})
		}
	case err != nil:
		m.fail(fmt.Errorf("%s: %w", operation, err))
	default:
		capacity := capacityOf(result)
		if asked && len(capacity) == 0 {
			m.fail(fmt.Errorf("%s: the server does not say what capacity it consumed", operation))
		}
		for _, c := range capacity {
			m.add(c, isWrite(operation))
		}
		m.addAbsent(input, result)
	}
}

// addAbsent counts reads that find nothing. They cost as much as those of a
// small item, but DynamoDB Local takes nothing for keys of a BatchGetItem
// without an item and for a Query without any.
func (m *meter) addAbsent(input, result any) {
	switch in := input.(type) {
	case *dynamodb.BatchGetItemInput:
		out := result.(*dynamodb.BatchGetItemOutput)
		for table, asked := range in.RequestItems {
			absent := len(asked.Keys) - len(out.Responses[table]) - len(out.UnprocessedKeys[table].Keys)
			m.consume(table, units{Read: float64(absent) * smallRead(asked.ConsistentRead)})
		}
	case *dynamodb.QueryInput:
		if result.(*dynamodb.QueryOutput).ScannedCount > 0 {
			return
		}
		name := aws.ToString(in.TableName)
		if in.IndexName != nil {
			name += "/" + *in.IndexName
		}
		m.consume(name, units{Read: smallRead(in.ConsistentRead)})
	}
}

// smallRead is what reading up to 4 KB costs.
func smallRead(consistent *bool) float64 {
	if aws.ToBool(consistent) {
		return 1
	}
	return 0.5
}

// refusedUnits is what a write costs whose condition does not hold: as much as
// the item that is there, 1 at least; and an INSERT, as much as its item. The server tells no capacity with the error.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func refusedUnits(there map[string]types.AttributeValue) float64 {
	return math.Max(1, math.Ceil(float64(itemBytes(there))/writeUnitBytes))
}

func (m *meter) fail(err error) {
	if m.fault == nil {
		m.fault = err
	}
}

// add counts the capacity of a table and of its indexes, each by itself.
func (m *meter) add(c types.ConsumedCapacity, write bool) {
	table := aws.ToString(c.TableName)
	if c.Table == nil {
		m.consume(table, unitsOf(aws.ToFloat64(c.CapacityUnits), write))
		return
	}
	m.consume(table, unitsOf(aws.ToFloat64(c.Table.CapacityUnits), write))
	for name, index := range c.GlobalSecondaryIndexes {
		m.consume(table+"/"+name, unitsOf(aws.ToFloat64(index.CapacityUnits), write))
	}
}

func (m *meter) consume(name string, u units) {
	have := m.consumed[name]
	m.consumed[name] = units{Write: have.Write + u.Write, Read: have.Read + u.Read}
}

func unitsOf(n float64, write bool) units {
	if write {
		return units{Write: n}
	}
	return units{Read: n}
}

// snapshot returns the requests so far.
func (m *meter) snapshot() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.requests)
}

// result returns what was counted, or why it cannot be trusted.
func (m *meter) result() (requests map[string]int, consumed map[string]units, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	total := 0
	for _, n := range m.requests {
		total += n
	}
	total -= m.shared
	if m.fault == nil && m.sent != total {
		m.fault = fmt.Errorf("%d HTTP requests for %d operations: some had to be repeated", m.sent, total)
	}
	return maps.Clone(m.requests), maps.Clone(m.consumed), m.fault
}

// countInserts counts each INSERT as the PutItem that it stands for: how many
// share a request depends on the machine, what they cost does not. DynamoDB
// Local tells no capacity of them, so it is that of the items' sizes; the table
// is the one of PutItem.
func (m *meter) countInserts(in *dynamodb.BatchExecuteStatementInput, result any, err error) {
	m.requests["PutItem"] += len(in.Statements)
	m.shared += len(in.Statements) - 1
	if err != nil {
		m.fail(fmt.Errorf("BatchExecuteStatement: %w", err))
		return
	}
	for i, answer := range result.(*dynamodb.BatchExecuteStatementOutput).Responses {
		if answer.Error != nil {
			m.fail(fmt.Errorf("BatchExecuteStatement: %s", aws.ToString(answer.Error.Message)))
			continue
		}
		table, row := insertedItem(in.Statements[i])
		m.consume(table, units{Write: refusedUnits(row)})
		if _, indexed := row["due_shard"]; indexed { // of its keys alone
			m.consume(table+"/due", units{Write: 1})
		}
	}
}

// insertedItem reads a statement of shared/dynamo:
// INSERT INTO "table" VALUE {'name':?,...}.
func insertedItem(s types.BatchStatementRequest) (table string, row map[string]types.AttributeValue) {
	parts := strings.Split(aws.ToString(s.Statement), "'")
	if quoted := strings.Split(parts[0], `"`); len(quoted) > 1 {
		table = quoted[1]
	}
	row = map[string]types.AttributeValue{}
	for i, value := range s.Parameters {
		if at := 2*i + 1; at < len(parts) {
			row[parts[at]] = value
		}
	}
	return table, row
}

// operationOf names the operation of an input such as *dynamodb.PutItemInput.
func operationOf(input any) string {
	return strings.TrimSuffix(reflect.TypeOf(input).Elem().Name(), "Input")
}

func isWrite(operation string) bool {
	for _, read := range []string{"Get", "BatchGet", "Query", "Scan", "TransactGet"} {
		if strings.HasPrefix(operation, read) {
			return false
		}
	}
	return true
}

// askForCapacity sets ReturnConsumedCapacity where an input has it.
func askForCapacity(input any) bool {
	f := reflect.ValueOf(input).Elem().FieldByName("ReturnConsumedCapacity")
	if f.IsValid() {
		f.Set(reflect.ValueOf(types.ReturnConsumedCapacityIndexes))
	}
	return f.IsValid()
}

// capacityOf returns an output's ConsumedCapacity: one, several or none.
func capacityOf(output any) []types.ConsumedCapacity {
	f := reflect.ValueOf(output).Elem().FieldByName("ConsumedCapacity")
	if !f.IsValid() {
		return nil
	}
	switch c := f.Interface().(type) {
	case *types.ConsumedCapacity:
		if c != nil {
			return []types.ConsumedCapacity{*c}
		}
	case []types.ConsumedCapacity:
		return c
	}
	return nil
}
