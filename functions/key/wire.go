package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/webhook"
)

// patience is how long AWS may take.
const patience = 30 * time.Second

// order is what the operator asked for.
type order struct {
	table, account, name, profile, region string
	scope                                 webhook.Scope
}

// keyStore keeps keys.
type keyStore interface {
	PutKey(ctx context.Context, k webhook.Key) error
}

// wire makes the key that the arguments ask for, with the caller's own AWS
// credentials.
func wire(ctx context.Context, args []string, out, usage io.Writer) error {
	o, err := parse(args, usage)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	store, err := connect(ctx, o)
	if err != nil {
		return err
	}
	return mint(ctx, store, o, out)
}

func parse(args []string, usage io.Writer) (o order, err error) {
	f := flag.NewFlagSet("key", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.table, "table", "", "name of the deliveries table: the output DeliveriesTable of the stack")
	f.StringVar((*string)(&o.scope), "scope", string(webhook.ScopeOperator), "what the key may do: operator, platform or account")
	f.StringVar(&o.account, "account", "", "the account of a key of scope account")
	f.StringVar(&o.name, "name", "made by the key command", "for people, shown in lists")
	f.StringVar(&o.profile, "profile", "", "profile of your AWS configuration; empty: the default one, or AWS_PROFILE")
	f.StringVar(&o.region, "region", "", "where the stack is; empty: as your AWS configuration says, or AWS_REGION")
	if err := f.Parse(args); err != nil {
		return order{}, err
	}
	if f.NArg() > 0 {
		return order{}, fmt.Errorf("%q is left over; every argument is a flag, see -h", f.Arg(0))
	}
	return o, o.check()
}

func (o order) check() error {
	var errs []error
	if o.table == "" {
		errs = append(errs, errors.New("the table is missing; add -table with the stack's output DeliveriesTable"))
	}
	switch o.scope {
	case webhook.ScopeOperator, webhook.ScopePlatform:
		if o.account != "" {
			errs = append(errs, fmt.Errorf("a key of scope %s belongs to no account; leave -account out, or add -scope account", o.scope))
		}
	case webhook.ScopeAccount:
		if o.account == "" {
			errs = append(errs, errors.New("a key of scope account needs its account; add -account"))
		}
	default:
		errs = append(errs, fmt.Errorf("there is no scope %.40q; use operator, platform or account", o.scope))
	}
	return errors.Join(errs...)
}

// connect finds the caller's credentials wherever the AWS command line would.
func connect(ctx context.Context, o order) (keyStore, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(o.profile), config.WithRegion(o.region))
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("there is no region; add -region, or set AWS_REGION")
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("there are no AWS credentials; run `aws configure` or `aws sso login`, or add -profile: %w", err)
	}
	return dynamo.New(dynamo.Options{Client: dynamodb.NewFromConfig(c), Deliveries: o.table}), nil
}

// mint makes, stores and prints a key. It is printed only once it is stored.
func mint(ctx context.Context, store keyStore, o order, out io.Writer) error {
	full, key := api.MintKey(time.Now(), o.scope, o.account, o.name)
	if err := store.PutKey(ctx, key); err != nil {
		return explain(o, err)
	}
	if _, err := fmt.Fprintln(out, full); err != nil {
		return fmt.Errorf("the key %s is stored but could not be printed; revoke it and make another: %w", key.ID, err)
	}
	return nil
}

// explain says what to do about what AWS refuses most often.
func explain(o order, err error) error {
	var missing *types.ResourceNotFoundException
	var refused smithy.APIError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("there is no table %s in this account and region; see the stack's output DeliveriesTable, and -region: %w", o.table, err)
	case errors.As(err, &refused) && refused.ErrorCode() == "AccessDeniedException":
		return fmt.Errorf("you may not write to the table %s; use a profile that has dynamodb:PutItem on it: %w", o.table, err)
	}
	return fmt.Errorf("store the key in table %s: %w", o.table, err)
}
