//go:build !race

package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
)

// checkAPI holds to one route to one function, bounded and logged.
func checkAPI(d deployment, c *complaints) {
	c.props(d, "ServiceHttpApi", map[string]any{"ProtocolType": "HTTP"})
	c.same("routes", d.of("AWS::ApiGatewayV2::Route"), []string{"ServiceEveryRoute"})
	c.props(d, "ServiceEveryRoute", map[string]any{
		"ApiId": "${ServiceHttpApi}", "RouteKey": "$default", "Target": "integrations/${ServiceToApi}",
	})
	c.props(d, "ServiceToApi", map[string]any{
		"ApiId": "${ServiceHttpApi}", "IntegrationType": "AWS_PROXY", "IntegrationUri": "${ServiceApi.Arn}", "PayloadFormatVersion": "2.0",
	})
	c.props(d, "ServiceHttpStage", map[string]any{"ApiId": "${ServiceHttpApi}", "StageName": "$default", "AutoDeploy": true})
	for _, bound := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
		if d.number("ServiceHttpStage", "DefaultRouteSettings."+bound) < 1 {
			c.add("the API has no %s", bound)
		}
	}
}

// checkAccessLog holds to a log that tells the route and nothing that a link's
// token could be in.
func checkAccessLog(d deployment, c *complaints) {
	c.same("access log", d.at("ServiceHttpStage", "AccessLogSettings.DestinationArn"), "${ServiceAccessLogs.Arn}")
	format, _ := d.at("ServiceHttpStage", "AccessLogSettings.Format").(string)
	var line map[string]string
	if err := json.Unmarshal([]byte(format), &line); err != nil {
		c.add("a line of the access log is no JSON: %v", err)
	}
	if line["routeKey"] != "$context.routeKey" || line["status"] != "$context.status" {
		c.add("the access log does not tell route and status: %s", format)
	}
	harmless := []string{
		"$context.requestId", "$context.requestTime", "$context.httpMethod", "$context.routeKey", "$context.status", "$context.responseLength",
		"$context.responseLatency", "$context.integrationLatency", "$context.error.message", "$context.integrationErrorMessage",
	}
	for _, variable := range regexp.MustCompile(`\$[A-Za-z.]+`).FindAllString(format, -1) {
		if !slices.Contains(harmless, variable) {
			c.add("the access log tells %s", variable)
		}
	}
}

// checkOutputs holds to what the README and the operator rely on.
func checkOutputs(d deployment, c *complaints) {
	want := map[string]any{
		"DeliveriesTable": "${DataDeliveries}", "FirstQueueUrl": "${DataFirst}", "RetryQueueUrl": "${DataRetry}",
		"ExportQueueUrl": "${DataExport}", "ExportDeadLettersUrl": "${DataExportDeadLetters}", "ExportDeadLettersArn": "${DataExportDeadLetters.Arn}",
		"FirstDeadLettersUrl": "${DataFirstDeadLetters}", "RetryDeadLettersUrl": "${DataRetryDeadLetters}",
		"FirstDeadLettersArn": "${DataFirstDeadLetters.Arn}", "RetryDeadLettersArn": "${DataRetryDeadLetters.Arn}",
		"FailuresBucket": "${DataFailures}", "ResultsBucket": "${DataResults}", "AlarmTopicArn": "${DataAlarms}", "NoticesTopic": "${DataNotices}",
		"SecretsKeyArn": "${DataSecretsKey.Arn}",
		"DashboardUrl":  "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}#dashboards/dashboard/${ServiceDashboard}",
	}
	if !d.Attached {
		want["JobsTable"] = "${DataJobs}"
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		c.same("output "+name, d.Outputs[name], want[name])
	}
	if url, _ := d.Outputs["ApiUrl"].(string); !regexp.MustCompile(`^https://[^/]+$`).MatchString(url) {
		c.add("output ApiUrl is %q", url)
	}
}
