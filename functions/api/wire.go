package main

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/jobhook/jobhook/functions/internal/api"
	"github.com/jobhook/jobhook/functions/internal/lambdahost"
	"github.com/jobhook/jobhook/functions/internal/logline"
	"github.com/jobhook/jobhook/shared/awsenv"
	"github.com/jobhook/jobhook/shared/dynamo"
	"github.com/jobhook/jobhook/shared/httpsend"
	"github.com/jobhook/jobhook/shared/kmsseal"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/sqsqueue"
)

// slashedIDs are the routes whose parameters may hold slashes, since they are
// the platform's own: accounts and jobs. The most specific come first.
func slashedIDs() []string {
	return []string{
		"/v1/accounts/{account}/keys/{key}",
		"/v1/accounts/{account}/keys",
		"/v1/accounts/{account}",
		"/v1/jobs/{id}",
	}
}

// wire makes the function.
func wire(getenv func(string) string) (lambdahost.Function, error) {
	r := setting.NewReader(getenv)
	tables := dynamo.Options{Deliveries: r.Need(setting.Deliveries), Jobs: r.Text(setting.Jobs)}
	queue, key, publicURL := r.URL(setting.RetryQueue), r.Need(setting.SecretsKey), r.URL(setting.PublicURL)
	level := r.LogLevel()
	if err := r.Err(); err != nil {
		return lambdahost.Function{}, err
	}
	log := logline.New(os.Stdout, level)
	calls := awsenv.NewHTTP()
	config := awsenv.Config(getenv, calls)
	tables.Log = log
	tables.Client = dynamodb.NewFromConfig(config)
	tables.Sealer = kmsseal.New(kms.NewFromConfig(config), key)
	c := api.Config{
		Store:     dynamo.New(tables),
		Retry:     sqsqueue.New(sqs.NewFromConfig(config), queue),
		PublicURL: publicURL, Version: api.Version, Log: log,
	}
	if getenv(setting.Private) != "true" {
		c.RefusedHost = httpsend.RefusedHost
	}
	return lambdahost.Function{Handler: lambdahost.Guard(lambdahost.HTTP(api.New(c), slashedIDs()...), calls.CloseIdle)}, nil
}
