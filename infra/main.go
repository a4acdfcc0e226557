// Command infra writes the CloudFormation templates of Jobhook: two stacks of
// one stage, for `cdk deploy` or on its own.
//
//	npx cdk deploy --all -c stage=prod
//	go run ./infra -c stage=prod    # the templates only, into cdk.out
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// What the CDK's command line tells the program that it runs.
const (
	outVariable     = "CDK_OUTDIR"
	contextVariable = "CDK_CONTEXT_JSON"
)

func main() {
	err := run(os.Args[1:])
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

// run writes the templates of the stage that the arguments or the CDK's
// command line name.
func run(args []string) error {
	context, err := contextOf(args, os.Getenv, "cdk.json")
	if err != nil {
		return err
	}
	out := os.Getenv(outVariable)
	if out == "" {
		out = "cdk.out"
	}
	return synth(out, context)
}

// synth writes the templates of a stage into a folder.
func synth(out string, context map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil { // constructs and the CDK panic
			err = fmt.Errorf("%v", r)
		}
	}()
	app := newApp(out, context)
	props, err := readStage(app)
	if err != nil {
		return err
	}
	addStacks(app, props)
	app.Synth(nil)
	return nil
}

// newApp returns an app without stacks, in which cdk-nag looks at all that is added.
func newApp(out string, context map[string]any) awscdk.App {
	app := awscdk.NewApp(&awscdk.AppProps{
		Outdir: jsii.String(out), Context: &context,
		AnalyticsReporting: jsii.Bool(false), // a resource of its own in every template
		StackTraces:        jsii.Bool(false), // they hold paths of the machine
	})
	checkWithNag(app)
	return app
}

// contextOf returns the context of the app: nothing when the CDK's command
// line gives it, else that of the file and of each -c name=value.
func contextOf(args []string, getenv func(string) string, file string) (map[string]any, error) {
	given := map[string]any{}
	flags := flag.NewFlagSet("infra", flag.ContinueOnError)
	flags.Func("c", "`name=value` of the context, such as stage=prod; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("write name=value")
		}
		given[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil || getenv(contextVariable) != "" {
		return given, err
	}
	context, err := contextOfFile(file)
	if err != nil {
		return nil, err
	}
	for name, value := range given {
		context[name] = value
	}
	return context, nil
}

func contextOfFile(file string) (map[string]any, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the context, run this in the repository's root: %w", err)
	}
	var cdk struct{ Context map[string]any }
	if err := json.Unmarshal(b, &cdk); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return cdk.Context, nil
}
