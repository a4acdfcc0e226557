package jobhook

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

const everyRoute = "$default" // also the name of the stage that has no prefix

// newAPI makes the API before the functions, which must know its URL.
func (s *Service) newAPI() {
	s.httpAPI = awsapigatewayv2.NewCfnApi(s.Construct, jsii.String("HttpApi"), &awsapigatewayv2.CfnApiProps{
		Name:         jsii.String("jobhook-" + s.props.Stage),
		Description:  jsii.String("Jobhook"),
		ProtocolType: jsii.String("HTTP"),
	})
	s.URL = s.publicURL()
}

// publicURL is what is configured, else the domain, else what API Gateway gives.
func (s *Service) publicURL() *string {
	switch {
	case s.props.PublicURL != "":
		return jsii.String(s.props.PublicURL)
	case s.props.Domain.Name != "":
		return jsii.String("https://" + s.props.Domain.Name)
	}
	return awscdk.Fn_Join(jsii.String(""), &[]*string{
		jsii.String("https://"), s.httpAPI.Ref(), jsii.String(".execute-api."), s.region(), jsii.String("."), s.stack().UrlSuffix(),
	})
}

// serve leads every request to the api function.
func (s *Service) serve() {
	integration := awsapigatewayv2.NewCfnIntegration(s.Construct, jsii.String("ToApi"), &awsapigatewayv2.CfnIntegrationProps{
		ApiId:                s.httpAPI.Ref(),
		IntegrationType:      jsii.String("AWS_PROXY"),
		IntegrationUri:       s.API.FunctionArn(),
		PayloadFormatVersion: jsii.String("2.0"),
	})
	route := awsapigatewayv2.NewCfnRoute(s.Construct, jsii.String("EveryRoute"), &awsapigatewayv2.CfnRouteProps{
		ApiId: s.httpAPI.Ref(), RouteKey: jsii.String(everyRoute), AuthorizationType: jsii.String("NONE"),
		Target: awscdk.Fn_Join(jsii.String("/"), &[]*string{jsii.String("integrations"), integration.Ref()}),
	})
	suppress(route, "AwsSolutions-APIG4", "The api function checks the API key of each request itself.")
	s.API.AddPermission(jsii.String("HttpApi"), &awslambda.Permission{
		Principal: awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
		SourceArn: s.stack().FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("execute-api"), Resource: s.httpAPI.Ref(), ResourceName: jsii.String("*/*"),
		}),
	})
	s.newStage()
	s.domain()
}

func (s *Service) newStage() {
	s.apiStage = awsapigatewayv2.NewCfnStage(s.Construct, jsii.String("HttpStage"), &awsapigatewayv2.CfnStageProps{
		ApiId: s.httpAPI.Ref(), StageName: jsii.String(everyRoute), AutoDeploy: jsii.Bool(true),
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit: jsii.Number(s.props.Throttle.Rate), ThrottlingBurstLimit: jsii.Number(s.props.Throttle.Burst),
		},
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: s.logGroup("AccessLogs").LogGroupArn(), Format: accessLogFormat(),
		},
	})
}

// accessLogFormat names the route and never the path or the query: they hold
// ids of accounts and jobs.
func accessLogFormat() *string {
	line, err := json.Marshal(map[string]string{
		"requestId": "$context.requestId", "time": "$context.requestTime",
		"method": "$context.httpMethod", "routeKey": "$context.routeKey",
		"status": "$context.status", "bytes": "$context.responseLength",
		"latencyMs": "$context.responseLatency", "integrationLatencyMs": "$context.integrationLatency",
		"error": "$context.error.message", "integrationError": "$context.integrationErrorMessage",
	})
	if err != nil {
		panic(err) // a map of strings has no error
	}
	return jsii.String(string(line))
}

// domain leads a domain of the caller's to the API.
func (s *Service) domain() {
	d := s.props.Domain
	if d.Name == "" {
		return
	}
	name := awsapigatewayv2.NewCfnDomainName(s.Construct, jsii.String("Domain"), &awsapigatewayv2.CfnDomainNameProps{
		DomainName: jsii.String(d.Name),
		DomainNameConfigurations: []any{&awsapigatewayv2.CfnDomainName_DomainNameConfigurationProperty{
			CertificateArn: jsii.String(d.CertificateARN), EndpointType: jsii.String("REGIONAL"), SecurityPolicy: jsii.String("TLS_1_2"),
		}},
	})
	mapping := awsapigatewayv2.NewCfnApiMapping(s.Construct, jsii.String("DomainToApi"), &awsapigatewayv2.CfnApiMappingProps{
		ApiId: s.httpAPI.Ref(), DomainName: name.Ref(), Stage: jsii.String(everyRoute),
	})
	mapping.AddDependency(s.apiStage)
	s.DomainTarget = name.AttrRegionalDomainName()
}
