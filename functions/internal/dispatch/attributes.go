package dispatch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Attributes says how a jobs table that is not Jobhook's own calls what Jobhook
// needs. The zero value changes no name.
type Attributes struct {
	from     map[string]string // our name -> theirs
	constant map[string]events.DynamoDBAttributeValue
}

// ParseAttributes reads entries separated by commas: "id=jobId" takes our
// attribute id from their jobId, "kind:=scraping" gives every record the same
// kind. Ours are the attributes of job records; theirs are the names of
// top-level attributes, without comma. Empty text is the zero value. The error
// names every mistake.
func ParseAttributes(text string) (Attributes, error) {
	if strings.TrimSpace(text) == "" {
		return Attributes{}, nil
	}
	a := Attributes{from: map[string]string{}, constant: map[string]events.DynamoDBAttributeValue{}}
	var wrong []error
	for entry := range strings.SplitSeq(text, ",") {
		if err := a.add(strings.TrimSpace(entry)); err != nil {
			wrong = append(wrong, fmt.Errorf("%.80q: %w", entry, err))
		}
	}
	if len(wrong) > 0 {
		return Attributes{}, fmt.Errorf("job attributes: %w", errors.Join(wrong...))
	}
	return a, nil
}

func (a Attributes) add(entry string) error {
	ours, theirs, found := strings.Cut(entry, "=")
	ours, isConstant := strings.CutSuffix(ours, ":")
	ours, theirs = strings.TrimSpace(ours), strings.TrimSpace(theirs)
	_, renamed := a.from[ours]
	_, constant := a.constant[ours]
	switch {
	case !found:
		return errors.New("write ours=theirs, or ours:=value for a constant")
	case typeOf(ours) == typeNone:
		return fmt.Errorf("no webhook uses an attribute %.40q; use one of %s", ours, strings.Join(slices.Sorted(maps.Keys(attributeTypes())), ", "))
	case renamed || constant:
		return fmt.Errorf("%s is named twice", ours)
	case theirs == "":
		return errors.New("there is nothing after the equals sign")
	case isConstant:
		value, err := constantOf(ours, theirs)
		a.constant[ours] = value
		return err
	case strings.HasPrefix(theirs, bookkeeping):
		return fmt.Errorf("attributes that begin with %s are Jobhook's own", bookkeeping)
	}
	a.from[ours] = theirs
	return nil
}

// constantOf checks a constant and gives it the type of its attribute.
func constantOf(ours, value string) (v events.DynamoDBAttributeValue, err error) {
	if ours == "id" || ours == "status" {
		return v, fmt.Errorf("%s cannot be the same for every job", ours)
	}
	if ours == "account" && (job.CheckID(ours, value) != nil || value == job.UnknownAccount) {
		return v, fmt.Errorf("%.40q is no id of an account", value)
	}
	if ours == "kind" && !slices.Contains(job.Kinds(), job.Kind(value)) {
		return v, fmt.Errorf("%.40q is no kind of job; use one of %q", value, job.Kinds())
	}
	switch typeOf(ours) {
	case typeNumber:
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < 0 {
			return v, fmt.Errorf("%s is a whole number, not %.40q", ours, value)
		}
		return events.NewNumberAttribute(value), nil
	case typeBool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return v, fmt.Errorf("%s is true or false, not %.40q", ours, value)
		}
		return events.NewBooleanAttribute(b), nil
	case typeObject:
		return v, fmt.Errorf("%s is a list or an object and cannot be a constant", ours)
	}
	return events.NewStringAttribute(value), nil
}

// apply returns the image in Jobhook's words: what is mapped stands under our
// names only. An attribute of theirs that merely has the name of a mapped one of
// ours means something else, and goes.
func (a Attributes) apply(image map[string]events.DynamoDBAttributeValue) map[string]events.DynamoDBAttributeValue {
	if len(a.from)+len(a.constant) == 0 || len(image) == 0 {
		return image
	}
	out := maps.Clone(image)
	for ours, theirs := range a.from {
		delete(out, ours)
		delete(out, theirs)
	}
	for ours, theirs := range a.from {
		if v, ok := image[theirs]; ok {
			out[ours] = v
		}
	}
	maps.Copy(out, a.constant)
	return out
}

// attributeType is what a constant of an attribute is written as.
type attributeType int

const (
	typeNone attributeType = iota // there is no such attribute
	typeText
	typeNumber
	typeBool
	typeObject
)

func typeOf(name string) attributeType { return attributeTypes()[name] }

// attributeTypes lists the top-level attributes that decide anything or stand
// in a body.
func attributeTypes() map[string]attributeType {
	all := map[string]attributeType{}
	for t, names := range map[attributeType][]string{
		typeText: {
			"id", "account", "kind", "status", "created_at", "name", "started_at", "ended_at", "notification_webhook",
			"notification_csv_fields", "sitemap_id", "sitemap_name", "custom_id", "level", "details", "error", "nodeName", "reason",
			"message", webhook.HeaderTraceparent, webhook.HeaderTracestate,
		},
		typeNumber: {
			"run", "searches_total", "searches_completed", "searches_failed", "jobs_scheduled", "jobs_executed", "jobs_failed",
			"jobs_empty", "stored_record_count", "time_created", "progress",
		},
		typeBool:   {"notification_as_json", "notification_as_jsonlines", "notification_as_csv"},
		typeObject: {"result_set", "webhooks", "options", "activeNodes", "nodes", "result"},
	} {
		for _, name := range names {
			all[name] = t
		}
	}
	return all
}
