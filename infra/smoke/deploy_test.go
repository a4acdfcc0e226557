package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/jobhook/jobhook/shared/awstest"
)

// accountID is the account that moto plays.
const accountID = "123456789012"

// bootstrapVersion is the parameter that `cdk bootstrap` leaves behind; every
// stack of the CDK reads it.
const bootstrapVersion = "/cdk-bootstrap/hnb659fds/version"

// deployTime is what the creation of a stack may take.
const deployTime = time.Minute

// deployment is a stage that CloudFormation has created.
type deployment struct {
	moto    awstest.Server
	full    map[string]template          // as synthesised, by part
	outputs map[string]string            // of all stacks
	ids     map[string]string            // physical ids by logical ones
	carried map[string][]json.RawMessage // resolved properties of what was not created, by type
}

// deploy creates the stacks, as `cdk bootstrap` and `cdk deploy` do.
func deploy(ctx context.Context, moto awstest.Server, a assembly) (*deployment, error) {
	d := &deployment{
		moto: moto, full: map[string]template{}, outputs: map[string]string{}, ids: map[string]string{}, carried: map[string][]json.RawMessage{},
	}
	if err := d.bootstrap(ctx); err != nil {
		return nil, err
	}
	for _, part := range parts() {
		t, err := a.template(part)
		if err != nil {
			return nil, err
		}
		d.full[part] = t
		if err := d.upload(ctx, a, part); err != nil {
			return nil, err
		}
		if err := d.create(ctx, part, t); err != nil {
			return nil, fmt.Errorf("stack %s: %w", stackOf(part), err)
		}
	}
	return d, nil
}

func (d *deployment) parameters() *ssm.Client { return ssm.NewFromConfig(d.moto.Config()) }

// stacks returns a client that does not try again: a stack that was half
// created would exist.
func (d *deployment) stacks() *cloudformation.Client {
	return cloudformation.NewFromConfig(d.moto.Config(), func(o *cloudformation.Options) { o.Retryer = aws.NopRetryer{} })
}

func (d *deployment) bootstrap(ctx context.Context) error {
	_, err := d.parameters().PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(bootstrapVersion), Type: ssmtypes.ParameterTypeString, Value: aws.String("21"),
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// upload puts the code of the functions where the template looks for it.
func (d *deployment) upload(ctx context.Context, a assembly, part string) error {
	assets, err := a.assets(part)
	if err != nil {
		return err
	}
	here := strings.NewReplacer("${AWS::AccountId}", accountID, "${AWS::Region}", awstest.Region)
	for _, one := range assets {
		code, err := os.Open(filepath.Join(string(a), one.Source.Path, "bootstrap"))
		if err != nil {
			return fmt.Errorf("asset: %w", err)
		}
		defer code.Close()
		for _, to := range one.Destinations {
			bucket, key := here.Replace(to.BucketName), here.Replace(to.ObjectKey)
			if _, err := d.moto.S3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				return fmt.Errorf("bucket of the assets: %w", err)
			}
			if _, err := d.moto.S3().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: code}); err != nil {
				return fmt.Errorf("upload asset %s: %w", one.Source.Path, err)
			}
		}
	}
	return nil
}

func (d *deployment) create(ctx context.Context, part string, full template) error {
	small, err := reduce(full)
	if err != nil {
		return err
	}
	body, err := json.Marshal(small)
	if err != nil {
		return err
	}
	name := stackOf(part)
	if _, err := d.stacks().CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String(string(body)), Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
	}); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	made, err := d.await(ctx, name)
	if err != nil {
		return err
	}
	for _, o := range made.Outputs {
		d.outputs[*o.OutputKey] = *o.OutputValue
	}
	return d.readBack(ctx, name, full)
}

// await waits until the stack is complete.
func (d *deployment) await(ctx context.Context, name string) (cfntypes.Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, deployTime)
	defer cancel()
	for {
		got, err := d.stacks().DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
		if err != nil {
			return cfntypes.Stack{}, fmt.Errorf("describe: %w", err)
		}
		switch s := got.Stacks[0]; {
		case s.StackStatus == cfntypes.StackStatusCreateComplete:
			return s, nil
		case !strings.HasSuffix(string(s.StackStatus), "_IN_PROGRESS"):
			return s, fmt.Errorf("it is %s: %w", s.StackStatus, d.events(ctx, name))
		}
		select {
		case <-ctx.Done():
			return cfntypes.Stack{}, fmt.Errorf("it is not complete after %s: %w", deployTime, d.events(context.WithoutCancel(ctx), name))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// events are what happened to a stack, as an error.
func (d *deployment) events(ctx context.Context, name string) error {
	got, err := d.stacks().DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &name})
	if err != nil {
		return fmt.Errorf("describe its events: %w", err)
	}
	var errs []error
	for _, e := range slices.Backward(got.StackEvents) {
		errs = append(errs, fmt.Errorf("%s %s %s %s", aws.ToString(e.ResourceType), aws.ToString(e.LogicalResourceId), e.ResourceStatus, aws.ToString(e.ResourceStatusReason)))
	}
	return errors.Join(errs...)
}

// readBack finds out what the resources of a stack became.
func (d *deployment) readBack(ctx context.Context, name string, full template) error {
	pages := cloudformation.NewListStackResourcesPaginator(d.stacks(), &cloudformation.ListStackResourcesInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list its resources: %w", err)
		}
		for _, r := range page.StackResourceSummaries {
			d.ids[*r.LogicalResourceId] = aws.ToString(r.PhysicalResourceId)
		}
	}
	for id, r := range full.Resources {
		if !notCreated()[r.Type].carried {
			continue
		}
		got, err := d.parameters().GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(carriedIn + id)})
		if err != nil {
			return fmt.Errorf("properties of %s: %w", id, err)
		}
		d.carried[r.Type] = append(d.carried[r.Type], json.RawMessage(*got.Parameter.Value))
	}
	return nil
}

// output returns what the operator reads after a deployment.
func (d *deployment) output(t testing.TB, name string) string {
	t.Helper()
	value := d.outputs[name]
	if value == "" {
		t.Fatalf("there is no output %s: %v", name, d.outputs)
	}
	return value
}

// carriedOf decodes the resolved properties of all resources of a type that
// were not created.
func carriedOf[T any](t testing.TB, d *deployment, kind string) []T {
	t.Helper()
	list := make([]T, len(d.carried[kind]))
	for i, raw := range d.carried[kind] {
		if err := json.Unmarshal(raw, &list[i]); err != nil {
			t.Fatalf("%s: %v in %s", kind, err, raw)
		}
	}
	if len(list) == 0 {
		t.Fatalf("the stage has no %s", kind)
	}
	return list
}

// checkStacks fails when a stack is not deployed here.
func checkStacks(t testing.TB, a assembly) {
	t.Helper()
	var want []string
	for _, part := range parts() {
		want = append(want, stackOf(part))
	}
	got, err := a.stacks()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Fatalf("stacks that were synthesised, and those that are deployed here: %s", diff)
	}
}
