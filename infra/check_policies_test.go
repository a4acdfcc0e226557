//go:build !race

package main

import (
	"maps"
	"slices"
	"strings"
)

// What stands in the templates for the resources.
const (
	jobsARN       = "${DataJobs.Arn}"
	deliveriesARN = "${DataDeliveries.Arn}"
	firstARN      = "${DataFirst.Arn}"
	retryARN      = "${DataRetry.Arn}"
	exportARN     = "${DataExport.Arn}"
	firstDeadARN  = "${DataFirstDeadLetters.Arn}"
	retryDeadARN  = "${DataRetryDeadLetters.Arn}"
	exportDeadARN = "${DataExportDeadLetters.Arn}"
	failuresARN   = "${DataFailures.Arn}"
	resultsARN    = "${DataResults.Arn}"
	secretsKeyARN = "${DataSecretsKey.Arn}"
	noticesARN    = "${DataNotices}"
	topicsKeyARN  = "${DataAlarmsKey.Arn}"

	attachedStream = "arn:aws:dynamodb:eu-central-1:111122223333:table/scrapes/stream/2026-01-01T00:00:00.000"
	attachedKey    = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000000"
)

// functionNames of the service.
func functionNames() []string {
	return []string{"ServiceDispatch", "ServiceDeliverFirst", "ServiceDeliverRetry", "ServiceSweep", "ServiceApi", "ServiceExport"}
}

// rows are the verbs of every function on the deliveries.
func rows(more ...string) []string {
	return append([]string{"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"}, more...)
}

// receives are the verbs that an event source mapping and deliver need, and who
// looks at dead letters and sends them back.
func receives() []string {
	return []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
}

// refills are the verbs of who counts messages and sends dead letters back.
func refills() []string { return []string{"sqs:GetQueueAttributes", "sqs:SendMessage"} }

// allowed is all that the functions may do: function, resource, actions. It is
// written here a second time on purpose: a change of either must be meant.
func allowed(d deployment) map[string]map[string][]string {
	may := map[string]map[string][]string{
		"ServiceDispatch": {
			stream(d):     {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
			"*":           {"dynamodb:ListStreams"},
			deliveriesARN: rows(), firstARN: {"sqs:SendMessage"},
			failuresARN: {"s3:ListBucket"}, failuresARN + "/*": {"s3:PutObject"},
		},
		"ServiceDeliverFirst": {
			deliveriesARN: rows("dynamodb:PartiQLInsert"), firstARN: receives(), retryARN: {"sqs:SendMessage"}, secretsKeyARN: {"kms:Decrypt"},
		},
		"ServiceDeliverRetry": {
			deliveriesARN: rows(), retryARN: receives(), secretsKeyARN: {"kms:Decrypt"},
		},
		"ServiceSweep": {
			deliveriesARN: rows("dynamodb:DeleteItem"), deliveriesARN + "/index/due": {"dynamodb:Query"},
			firstARN: {"sqs:SendMessage"}, retryARN: {"sqs:SendMessage"}, exportARN: {"sqs:SendMessage"},
			failuresARN: {"s3:ListBucket"}, failuresARN + "/*": {"s3:GetObject", "s3:DeleteObject"},
			noticesARN: {"sns:Publish"}, topicsKeyARN: {"kms:Decrypt", "kms:GenerateDataKey"},
		},
		"ServiceApi": {
			deliveriesARN: rows("dynamodb:DeleteItem"),
			secretsKeyARN: {"kms:Decrypt", "kms:GenerateDataKey"},
			firstARN:      refills(), retryARN: refills(), exportARN: refills(),
			firstDeadARN: receives(), retryDeadARN: receives(), exportDeadARN: receives(),
		},
		"ServiceExport": {
			deliveriesARN: rows("dynamodb:DeleteItem"), exportARN: receives(), firstARN: {"sqs:SendMessage"},
			resultsARN: {"s3:ListBucket"}, resultsARN + "/records/*": {"s3:GetObject", "s3:DeleteObject"}, resultsARN + "/inputs/*": {"s3:DeleteObject"},
			resultsARN + "/results/*": {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"},
		},
	}
	if d.Attached {
		may["ServiceDispatch"][attachedKey] = []string{"kms:Decrypt"}
	} else {
		allowJobs(may)
	}
	for _, f := range functionNames() {
		may[f]["*"] = append(may[f]["*"], "xray:PutTelemetryRecords", "xray:PutTraceSegments")
		may[f]["${"+f+"Logs.Arn}"] = []string{"logs:CreateLogStream", "logs:PutLogEvents"}
	}
	return may
}

// allowJobs adds what jobs of our own bring with them: the ledger reads them all,
// and records of theirs are uploaded.
func allowJobs(may map[string]map[string][]string) {
	for _, f := range []string{"ServiceSweep", "ServiceApi", "ServiceExport"} {
		may[f][jobsARN+"/index/account"] = []string{"dynamodb:Query"}
	}
	may["ServiceSweep"][jobsARN] = []string{"dynamodb:BatchGetItem", "dynamodb:UpdateItem"}
	may["ServiceApi"][jobsARN] = rows()
	may["ServiceExport"][jobsARN] = rows("dynamodb:DeleteItem")
	may["ServiceDispatch"][exportARN] = []string{"sqs:SendMessage"}
	may["ServiceApi"][resultsARN] = []string{"s3:ListBucket"}
	may["ServiceApi"][resultsARN+"/records/*"] = []string{"s3:PutObject"}
	may["ServiceApi"][resultsARN+"/inputs/*"] = []string{"s3:GetObject", "s3:PutObject"}
	may["ServiceApi"][resultsARN+"/results/*"] = []string{"s3:GetObject"}
}

func stream(d deployment) string {
	if d.Attached {
		return attachedStream
	}
	return "${DataJobs.StreamArn}"
}

// checkPolicies holds each function to its own verbs on its own resources.
func checkPolicies(d deployment, c *complaints) {
	want := allowed(d)
	for _, f := range functionNames() {
		role := f + "Role"
		c.same(f+" Role", d.at(f, "Role"), "${"+role+".Arn}")
		c.same(role+" ManagedPolicyArns", d.at(role, "ManagedPolicyArns"), nil)
		c.same(role+" trusts", d.at(role, "AssumeRolePolicyDocument.Statement.0.Principal"), map[string]any{"Service": "lambda.amazonaws.com"})
		c.diff(role, grants(d.Resources[role]), want[f])
	}
	for _, kind := range []string{"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"} {
		for _, name := range d.of(kind) {
			c.add("%s is a policy beside those of the roles", name)
		}
	}
	c.same("roles", len(d.of("AWS::IAM::Role")), len(functionNames()))
}

// grants returns what a role may do, as resource and actions.
func grants(role *resource) map[string][]string {
	all := map[string][]string{}
	if role == nil {
		return all
	}
	for _, policy := range objects(role.Properties["Policies"]) {
		document, _ := policy["PolicyDocument"].(map[string]any)
		for _, s := range objects(document["Statement"]) {
			for _, r := range list(s["Resource"]) {
				all[r] = append(all[r], list(s["Action"])...)
			}
			if s["Effect"] != "Allow" || s["NotAction"] != nil || s["NotResource"] != nil {
				all["a statement that is no plain allowance"] = list(s["Effect"])
			}
		}
	}
	return all
}

func (c *complaints) diff(role string, got, want map[string][]string) {
	for _, r := range slices.Sorted(maps.Keys(want)) {
		for _, action := range want[r] {
			if !slices.Contains(got[r], action) {
				c.add("%s may not %s on %s", role, action, r)
			}
		}
	}
	for _, r := range slices.Sorted(maps.Keys(got)) {
		for _, action := range got[r] {
			if !slices.Contains(want[r], action) {
				c.add("%s may %s on %s", role, action, r)
			}
		}
	}
}

// checkWildcards looks at every policy of a role by itself: * as a resource
// only where AWS knows no other, and never in an action.
func checkWildcards(d deployment, c *complaints) {
	unbounded := []string{"dynamodb:ListStreams", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
	bounded := []string{failuresARN + "/*", resultsARN + "/results/*", resultsARN + "/records/*", resultsARN + "/inputs/*"}
	for _, role := range d.of("AWS::IAM::Role") {
		for r, actions := range grants(d.Resources[role]) {
			for _, action := range actions {
				if strings.Contains(action, "*") {
					c.add("%s may %s", role, action)
				}
				if r == "*" && !slices.Contains(unbounded, action) {
					c.add("%s may %s on everything", role, action)
				}
			}
			if strings.Contains(r, "*") && r != "*" && !slices.Contains(bounded, r) {
				c.add("%s reaches %s", role, r)
			}
		}
	}
}

// checkInvokers holds to who may start a function: EventBridge one rule, API
// Gateway one API, nobody else.
func checkInvokers(d deployment, c *complaints) {
	want := map[string][3]string{
		"ServiceSweepEveryMinute": {"${ServiceSweep.Arn}", "events.amazonaws.com", "${ServiceEveryMinute.Arn}"},
		"ServiceApiHttpApi": {"${ServiceApi.Arn}", "apigateway.amazonaws.com",
			"arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${ServiceHttpApi}/*/*"},
	}
	c.same("permissions", d.of("AWS::Lambda::Permission"), slices.Sorted(maps.Keys(want)))
	for name, w := range want {
		c.props(d, name, map[string]any{"FunctionName": w[0], "Principal": w[1], "SourceArn": w[2], "Action": "lambda:InvokeFunction"})
	}
}
