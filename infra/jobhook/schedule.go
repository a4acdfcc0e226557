package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// everyMinute starts sweep. Nothing is reserved for it: two runs at once do no
// harm, and a young account has so few invocations at once that AWS refuses
// to reserve any.
func (s *Service) everyMinute() {
	rule := awsevents.NewCfnRule(s.Construct, jsii.String("EveryMinute"), &awsevents.CfnRuleProps{
		Description:        jsii.String("Starts Jobhook's sweep"),
		ScheduleExpression: jsii.String("rate(1 minute)"),
		Targets:            []any{&awsevents.CfnRule_TargetProperty{Id: jsii.String("sweep"), Arn: s.Sweep.FunctionArn()}},
	})
	s.Sweep.AddPermission(jsii.String("EveryMinute"), &awslambda.Permission{
		Principal: awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil),
		SourceArn: rule.AttrArn(),
	})
}
