package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/jobhook/jobhook/infra/jobhook"
)

// What the context of the app says. The values of stages are those of
// jobhook.Props.
const (
	stageKey     = "stage"     // which of the stages; dev
	stagesKey    = "stages"    // in cdk.json
	jobsTableKey = "jobsTable" // takes the place of the stage's; by -c as JSON
	assetsKey    = "assets"    // folder of the built functions; build/lambda
	defaultStage = "dev"
)

// readStage returns the stage that the context of the app names. Its error
// tells all that is wrong.
func readStage(app awscdk.App) (*jobhook.Props, error) {
	context := func(key string) any { return app.Node().TryGetContext(jsii.String(key)) }
	props, err := stage(context)
	if err != nil {
		return nil, err
	}
	if err := props.Check(); err != nil {
		return nil, fmt.Errorf("stage %s: %w", props.Stage, err)
	}
	return props, nil
}

// stage reads the values of a stage, and refuses those that it does not know.
func stage(context func(string) any) (*jobhook.Props, error) {
	name := text(context(stageKey), defaultStage)
	stages, _ := context(stagesKey).(map[string]any)
	values, ok := stages[name]
	if !ok {
		return nil, fmt.Errorf("stage %q is not among %q, the stages of cdk.json; name one with -c stage=<name>", name, slices.Sorted(maps.Keys(stages)))
	}
	props := &jobhook.Props{Stage: name, Assets: text(context(assetsKey), "")}
	if err := decode(values, props); err != nil {
		return nil, fmt.Errorf("stage %s in cdk.json: %w", name, err)
	}
	if table := context(jobsTableKey); table != nil {
		props.JobsTable = &jobhook.JobsTable{}
		if err := decode(table, props.JobsTable); err != nil {
			return nil, fmt.Errorf("context %s: %w", jobsTableKey, err)
		}
	}
	return props, nil
}

func text(value any, byDefault string) string {
	if s, ok := value.(string); ok {
		return s
	}
	return byDefault
}

// decode reads a value of the context, an object or its JSON.
func decode(value, into any) error {
	b, err := json.Marshal(value)
	if s, ok := value.(string); ok {
		b, err = []byte(s), nil
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
