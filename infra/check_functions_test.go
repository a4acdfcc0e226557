//go:build !race

package main

import (
	"github.com/jobhook/jobhook/shared/setting"
)

// environments is all that each function is told.
func environments(d deployment) map[string]map[string]any {
	url := d.Outputs["ApiUrl"]
	first, retry, key := "${DataFirst}", "${DataRetry}", "${DataSecretsKey.Arn}"
	all := map[string]map[string]any{
		"ServiceDispatch": {setting.FirstQueue: first, setting.Retention: nil},
		"ServiceDeliverFirst": {
			setting.Lane: setting.LaneFirst, setting.Queue: first, setting.RetryQueue: retry,
			setting.SecretsKey: key, setting.PublicURL: url, setting.DisableIn: nil,
		},
		"ServiceDeliverRetry": {
			setting.Lane: setting.LaneRetry, setting.Queue: retry, setting.SecretsKey: key, setting.PublicURL: url, setting.DisableIn: nil,
		},
		"ServiceSweep": {
			setting.FirstQueue: first, setting.RetryQueue: retry, setting.Failures: "${DataFailures}", setting.Retention: nil,
			setting.NoticesTo: "${DataNotices}", setting.Operator: optional{}, setting.ExportQueue: "${DataExport}",
		},
		"ServiceExport": {
			setting.Queue: "${DataExport}", setting.FirstQueue: first, setting.Results: "${DataResults}", setting.ResultsFor: nil, setting.Retention: nil,
		},
		"ServiceApi": {
			setting.FirstQueue: first, setting.RetryQueue: retry, setting.ExportQueue: "${DataExport}",
			setting.FirstDead: "${DataFirstDeadLetters}", setting.RetryDead: "${DataRetryDeadLetters}", setting.ExportDead: "${DataExportDeadLetters}",
			setting.SecretsKey: key, setting.PublicURL: url, setting.DisableIn: nil,
			setting.Rate: optional{}, setting.CORSOrigins: optional{},
		},
	}
	if d.Attached {
		const mapping = "account=customer,id=jobId,status=state,kind:=scraping"
		for _, f := range []string{"ServiceDispatch", "ServiceSweep", "ServiceExport"} {
			all[f][setting.Attributes] = mapping
		}
	} else {
		all["ServiceDispatch"][setting.ExportQueue], all["ServiceApi"][setting.Results] = "${DataExport}", "${DataResults}"
		for _, f := range []string{"ServiceSweep", "ServiceApi", "ServiceExport"} {
			all[f][setting.Jobs] = "${DataJobs}"
		}
	}
	for _, f := range functionNames() {
		all[f][setting.Deliveries] = "${DataDeliveries}"
		all[f][setting.Stage], all[f][setting.LogLevel] = nil, nil
	}
	return all
}

// optional is a value that the stage may leave out.
type optional struct{}

// checkEnvironments holds each function to its variables. Nil is a value that
// the stage says, which must be there.
func checkEnvironments(d deployment, c *complaints) {
	for f, want := range environments(d) {
		got, _ := d.at(f, "Environment.Variables").(map[string]any)
		for name, value := range want {
			switch {
			case value == optional{}:
			case got[name] == nil || got[name] == "":
				c.add("%s has no %s", f, name)
			case value != nil:
				c.same(f+" "+name, got[name], value)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				c.add("%s has %s, which it does not read", f, name)
			}
		}
	}
}

// checkFunctions holds the functions to how they run and log.
func checkFunctions(d deployment, c *complaints) {
	c.same("functions", len(d.of("AWS::Lambda::Function")), len(functionNames()))
	for _, f := range functionNames() {
		c.props(d, f, map[string]any{
			"Architectures": []string{"arm64"}, "Runtime": "provided.al2023", "Handler": "bootstrap",
			"TracingConfig.Mode": "Active", "LoggingConfig.LogFormat": "JSON", "LoggingConfig.LogGroup": "${" + f + "Logs}",
			"VpcConfig": nil, "ReservedConcurrentExecutions": nil,
		})
	}
	c.same("code of the two lanes", d.at("ServiceDeliverFirst", "Code"), d.at("ServiceDeliverRetry", "Code"))
	if d.number("ServiceApi", "Timeout") >= 30 {
		c.add("api may take %v s; API Gateway gives up after 30", d.number("ServiceApi", "Timeout"))
	}
}

// checkLogs holds every log group to an end.
func checkLogs(d deployment, c *complaints) {
	groups := d.of("AWS::Logs::LogGroup")
	c.same("log groups", len(groups), len(functionNames())+1) // and the API's access log
	for _, g := range groups {
		if d.number(g, "RetentionInDays") < 1 {
			c.add("%s keeps its lines for ever", g)
		}
	}
}
