package jobhook

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Service is what works on the data: functions, what feeds them, the API,
// alarms and a dashboard. It holds nothing that could be lost.
type Service struct {
	constructs.Construct
	Dispatch     awslambda.Function
	DeliverFirst awslambda.Function
	DeliverRetry awslambda.Function
	Sweep        awslambda.Function
	Export       awslambda.Function
	API          awslambda.Function
	Dashboard    awscloudwatch.Dashboard
	// URL is where customers reach the API.
	URL *string
	// DomainTarget is where the record of a domain of your own points to. Nil without.
	DomainTarget *string

	props    Props
	data     *Data
	httpAPI  awsapigatewayv2.CfnApi
	apiStage awsapigatewayv2.CfnStage
	watched  []awscloudwatch.Alarm
}

// NewService makes the service of a Jobhook over its data. It panics with all
// that is wrong with the props, see Props.Check.
func NewService(scope constructs.Construct, id *string, data *Data, props *Props) *Service {
	s := &Service{Construct: constructs.NewConstruct(scope, id), props: mustCheck(props), data: data}
	s.newAPI()
	s.functions()
	s.serve()
	s.mappings()
	s.everyMinute()
	s.alarms()
	s.dashboard()
	return s
}

// stack is the one that the service is in.
func (s *Service) stack() awscdk.Stack { return awscdk.Stack_Of(s.Construct) }

// all returns the functions with the names that people know them by.
func (s *Service) all() []named {
	return []named{
		{"dispatch", "Dispatch", s.Dispatch},
		{"deliver-first", "DeliverFirst", s.DeliverFirst},
		{"deliver-retry", "DeliverRetry", s.DeliverRetry},
		{"sweep", "Sweep", s.Sweep},
		{"api", "Api", s.API},
		{"export", "Export", s.Export},
	}
}

type named struct {
	name, id string
	function awslambda.Function
}

// region is where the service is.
func (s *Service) region() *string { return s.stack().Region() }

// DashboardURL is where the dashboard is in the console of AWS.
func (s *Service) DashboardURL() *string {
	return awscdk.Fn_Join(jsii.String(""), &[]*string{
		jsii.String("https://"), s.region(), jsii.String(".console.aws.amazon.com/cloudwatch/home?region="), s.region(),
		jsii.String("#dashboards/dashboard/"), s.Dashboard.DashboardName(),
	})
}
