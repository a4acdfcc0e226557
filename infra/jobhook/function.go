package jobhook

import (
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"github.com/jobhook/jobhook/shared/setting"
)

// Folders of the built functions, in Props.Assets.
const (
	assetDispatch = "dispatch"
	assetDeliver  = "deliver"
	assetSweep    = "sweep"
	assetExport   = "export"
	assetAPI      = "api"
)

// spec is what tells one function from another.
type spec struct {
	id       string
	asset    string
	about    string
	memoryMB int
	seconds  int // timeout
	env      map[string]*string
	may      []awsiam.PolicyStatement
}

// function makes a function with a log group and a role of its own. The role
// may do what the spec says and nothing else: whatever the CDK would grant by
// itself, it does not.
func (s *Service) function(f spec) awslambda.Function {
	logs := s.logGroup(f.id + "Logs")
	role := awsiam.NewRole(s.Construct, jsii.String(f.id+"Role"), &awsiam.RoleProps{
		Description: jsii.String("What Jobhook's function " + f.id + " may do"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"Jobhook": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
			Statements: ptr(append(f.may, mayLog(logs), mayTrace())),
		})},
	})
	suppress(role, "AwsSolutions-IAM5", "X-Ray and dynamodb:ListStreams take no resource; all else names its own.", "Resource::*")
	suppress(role, "AwsSolutions-IAM5", "All objects of the bucket of failed batches, whose names Lambda makes up.",
		&cdknag.RegexAppliesTo{Regex: jsii.String(`/^Resource::<[A-Za-z0-9]*Failures[A-Za-z0-9]*\.Arn>\/\*$/`)})
	suppress(role, "AwsSolutions-IAM5", "All objects of one kind in the bucket of results, whose names are those of jobs.",
		&cdknag.RegexAppliesTo{Regex: jsii.String(`/^Resource::<[A-Za-z0-9]*Results[A-Za-z0-9]*\.Arn>\/(results|records|inputs)\/\*$/`)})
	return awslambda.NewFunction(s.Construct, jsii.String(f.id), &awslambda.FunctionProps{
		Description:   jsii.String(f.about),
		Code:          awslambda.Code_FromAsset(jsii.String(filepath.Join(s.props.Assets, f.asset)), nil),
		Handler:       jsii.String("bootstrap"),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  awslambda.Architecture_ARM_64(),
		MemorySize:    jsii.Number(f.memoryMB),
		Timeout:       seconds(f.seconds),
		Tracing:       awslambda.Tracing_ACTIVE,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		// Lambda's own lines, three for each invocation, would be most of the logs. What the function writes is not filtered.
		SystemLogLevelV2: awslambda.SystemLogLevel_WARN,
		LogGroup:         logs,
		Role:             s.fixed(f.id, role),
		Environment:      s.environment(f.env),
	})
}

// fixed is a role to which the CDK adds nothing. By its ARN, as the CDK would
// also add a dependency that the ARN is already.
func (s *Service) fixed(id string, role awsiam.Role) awsiam.IRole {
	return awsiam.Role_FromRoleArn(s.Construct, jsii.String(id+"FixedRole"), role.RoleArn(), &awsiam.FromRoleArnOptions{Mutable: jsii.Bool(false)})
}

// environment adds what all functions have.
func (s *Service) environment(of map[string]*string) *map[string]*string {
	of[setting.Stage] = jsii.String(s.props.Stage)
	of[setting.LogLevel] = jsii.String(s.props.LogLevel)
	of[setting.Deliveries] = s.data.Deliveries.TableName()
	return &of
}

// logGroup makes a group whose lines go after a time, named by CloudFormation:
// a group that outlives its stack is in nobody's way.
func (s *Service) logGroup(id string) awslogs.LogGroup {
	group := awslogs.NewLogGroup(s.Construct, jsii.String(id), &awslogs.LogGroupProps{RemovalPolicy: s.props.removal()})
	group.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(s.props.Days.Logs))
	return group
}

func mayLog(group awslogs.LogGroup) awsiam.PolicyStatement {
	return allow([]*string{group.LogGroupArn()}, "logs:CreateLogStream", "logs:PutLogEvents")
}

func mayTrace() awsiam.PolicyStatement {
	return allow([]*string{jsii.String("*")}, "xray:PutTelemetryRecords", "xray:PutTraceSegments")
}

// allow is a statement that names each action and each resource.
func allow(resources []*string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings(actions...), Resources: &resources,
	})
}

func ptr[T any](v T) *T { return &v }

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }
