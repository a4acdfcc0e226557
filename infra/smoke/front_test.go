package smoke

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/awstest"
	"github.com/jobhook/jobhook/shared/lambdatest"
)

const (
	routeType       = "AWS::ApiGatewayV2::Route"
	integrationType = "AWS::ApiGatewayV2::Integration"
	ruleType        = "AWS::Events::Rule"
)

type (
	route       struct{ RouteKey, Target string }
	integration struct{ IntegrationType, IntegrationUri, PayloadFormatVersion string }
	rule        struct {
		ScheduleExpression string
		Targets            []struct{ Arn string }
	}
)

// frontDoor is the HTTP API of a stage: it hands requests to the function that
// its only route leads to.
type frontDoor struct {
	host     string
	function *function
	key      string // of the caller
}

func newFrontDoor(t *testing.T, d *deployment, all functions) *frontDoor {
	t.Helper()
	routes, integrations := carriedOf[route](t, d, routeType), carriedOf[integration](t, d, integrationType)
	if len(routes) != 1 || len(integrations) != 1 || routes[0].RouteKey != "$default" || !strings.HasPrefix(routes[0].Target, "integrations/") {
		t.Fatalf("routes %+v, integrations %+v; want one of each, for every path", routes, integrations)
	}
	to := integrations[0]
	if to.IntegrationType != "AWS_PROXY" || to.PayloadFormatVersion != "2.0" {
		t.Fatalf("integration %+v, want payload format 2.0", to)
	}
	return &frontDoor{host: strings.TrimPrefix(d.output(t, "ApiUrl"), "https://"), function: all.called(t, to.IntegrationUri)}
}

// call makes a request and decodes its answer, which must have the status.
func (f *frontDoor) call(t testing.TB, method, target string, body any, status int, into any) {
	t.Helper()
	answer := f.answer(t, method, target, body, status)
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer.Body), into); err != nil {
		t.Fatalf("%s %s: %v in %s", method, target, err, answer.Body)
	}
}

// answer makes a request and returns its answer, which must have the status.
func (f *frontDoor) answer(t testing.TB, method, target string, body any, status int) (answer events.APIGatewayV2HTTPResponse) {
	t.Helper()
	event := f.request(t, method, target, body)
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.function.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, target, err, raw)
	}
	if answer.StatusCode != status {
		t.Fatalf("%s %s: %d %s, want %d", method, target, answer.StatusCode, answer.Body, status)
	}
	return answer
}

// request is an event of an HTTP API, payload format 2.0:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
func (f *frontDoor) request(t testing.TB, method, target string, body any) events.APIGatewayV2HTTPRequest {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	now := time.Now()
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: path, RawQueryString: query,
		Headers: map[string]string{
			"accept": "application/json", "authorization": "Bearer " + f.key, "content-type": "application/json",
			"host": f.host, "x-forwarded-for": "192.0.2.7", "x-forwarded-port": "443", "x-forwarded-proto": "https",
		},
		QueryStringParameters: map[string]string{},
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			e.QueryStringParameters[name] = value
		}
	}
	apiID, _, _ := strings.Cut(f.host, ".")
	e.RequestContext = events.APIGatewayV2HTTPRequestContext{
		AccountID: accountID, APIID: apiID, DomainName: f.host, DomainPrefix: apiID, RequestID: "JKJaXmPLvHcESHA=", RouteKey: "$default", Stage: "$default",
		Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, Protocol: "HTTP/1.1", SourceIP: "192.0.2.7", UserAgent: "smoke"},
	}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		e.Body = string(raw)
	}
	return e
}

// tick starts what the stage's schedule starts every minute.
func tick(t *testing.T, d *deployment, all functions) {
	t.Helper()
	rules := carriedOf[rule](t, d, ruleType)
	if len(rules) != 1 || len(rules[0].Targets) != 1 || rules[0].ScheduleExpression != "rate(1 minute)" {
		t.Fatalf("rules %+v, want one with one target, every minute", rules)
	}
	payload, err := json.Marshal(events.CloudWatchEvent{
		Version: "0", ID: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", DetailType: "Scheduled Event", Source: "aws.events", AccountID: accountID,
		Time: time.Now().UTC().Truncate(time.Second), Region: awstest.Region,
		Resources: []string{notCreated()[ruleType].attributes["Arn"]}, Detail: json.RawMessage(`{}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	sweep := all.called(t, rules[0].Targets[0].Arn)
	if _, err := sweep.Invoke(t.Context(), payload); err != nil {
		t.Fatalf("%s: %v", sweep.name, err)
	}
}

// operatorKey makes the first key by the command that the README names.
func operatorKey(t *testing.T, d *deployment, database awstest.Server) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lambdatest.Build(t, "key"), "-table", d.output(t, "DeliveriesTable"))
	home := t.TempDir()
	cmd.Env = append(database.Env(), "HOME="+home, "AWS_CONFIG_FILE="+filepath.Join(home, "config"),
		"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(home, "credentials"), "PATH="+os.Getenv("PATH"))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("key: %v: %s", err, said.String())
	}
	return strings.TrimSpace(string(out))
}
