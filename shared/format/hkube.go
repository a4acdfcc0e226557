package format

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// hkube is HKube's pair of webhooks, progress and result. A pipeline that ends
// sends both.
func hkube() Format {
	return Format{
		Name:  HKube,
		Kind:  job.KindPipeline,
		Types: []webhook.EventType{webhook.JobProgress, webhook.JobFinished, webhook.JobFailed, webhook.JobStopped},
		Policy: webhook.Policy{
			Success:  webhook.SuccessBelow400,
			RetryOn:  webhook.RetryTransient,
			Timeout:  30 * time.Second,
			Schedule: webhook.Fixed(2, 5*time.Second),

			Supersedes: true,
		},
		contentType: contentJSON,
		filter:      belowVerbosity,
		encode:      encodeHKube,
	}
}

// belowVerbosity declines progress that is less severe than the client asked
// for. Results have no level.
func belowVerbosity(e webhook.Event, j job.Job) string {
	if e.Type != webhook.JobProgress {
		return ""
	}
	p, err := j.Pipeline()
	if err != nil {
		return "the record cannot be read: " + err.Error()
	}
	verbosity := p.Options.ProgressVerbosityLevel
	if verbosity == "" {
		verbosity = job.LevelInfo
	}
	if e.Level.Passes(verbosity) {
		return ""
	}
	return fmt.Sprintf("level %s is below the job's options.progressVerbosityLevel, which is %s", e.Level, verbosity)
}

func encodeHKube(e webhook.Event, j job.Job, _ string) ([]byte, error) {
	if e.Type == webhook.JobProgress {
		return HKubeStatus(j, e.At, e.Level)
	}
	return HKubeResult(j, e.At)
}

type hkubeStatus struct {
	JobID     string        `json:"jobId"`
	Timestamp string        `json:"timestamp"`
	Pipeline  string        `json:"pipeline"`
	Level     job.Level     `json:"level"`
	Status    job.Status    `json:"status"`
	Data      hkubeProgress `json:"data"`
}

type hkubeProgress struct {
	Progress    string           `json:"progress,omitempty"`
	Details     string           `json:"details,omitempty"`
	ActiveNodes []job.ActiveNode `json:"activeNodes,omitempty"`
}

// HKubeStatus returns the body of the progress webhook for a pipeline as it
// was at the given time, which is also HKube's answer to GET
// /exec/status/{jobId}. Of data it holds what the record knows; the object
// itself is always there.
func HKubeStatus(j job.Job, at time.Time, level job.Level) ([]byte, error) {
	p, err := j.Pipeline()
	if err != nil {
		return nil, err
	}
	progress, err := percent(j, p)
	if err != nil {
		return nil, err
	}
	return marshal(hkubeStatus{
		JobID: j.ID, Timestamp: timestamp(at), Pipeline: p.Name, Level: level, Status: j.Status,
		Data: hkubeProgress{Progress: progress, Details: p.Details, ActiveNodes: p.ActiveNodes},
	})
}

// percent writes the progress with two decimals, "" when it is unknown. A
// completed pipeline whose record names no progress is at 100.
func percent(j job.Job, p job.Pipeline) (string, error) {
	switch {
	case p.Progress != nil:
		f, err := p.Progress.Float64()
		if err != nil {
			return "", fmt.Errorf("progress: %w", err)
		}
		return strconv.FormatFloat(f, 'f', 2, 64), nil
	case j.Outcome() == job.OutcomeSucceeded:
		return "100.00", nil
	}
	return "", nil
}

type hkubeResult struct {
	JobID     string       `json:"jobId"`
	Timestamp string       `json:"timestamp"`
	Pipeline  string       `json:"pipeline"`
	Status    job.Status   `json:"status"`
	Error     string       `json:"error,omitempty"`
	NodeName  string       `json:"nodeName,omitempty"`
	Reason    string       `json:"reason,omitempty"`
	Data      *hkubeOutput `json:"data,omitempty"`
}

type hkubeOutput struct {
	Result []job.NodeResult `json:"result"`
}

// HKubeResult returns the body of the result webhook for a pipeline that ended
// at the given time, which is also HKube's answer to GET
// /exec/results/{jobId}: a completed pipeline's results, a failed one's error
// and node, a stopped one's reason.
func HKubeResult(j job.Job, at time.Time) ([]byte, error) {
	p, err := j.Pipeline()
	if err != nil {
		return nil, err
	}
	r := hkubeResult{JobID: j.ID, Timestamp: timestamp(at), Pipeline: p.Name, Status: j.Status}
	switch j.Outcome() {
	case job.OutcomeSucceeded:
		r.Data = &hkubeOutput{Result: append([]job.NodeResult{}, p.Result...)}
	case job.OutcomeFailed:
		r.Error, r.NodeName = p.Error, p.NodeName
	case job.OutcomeStopped:
		r.Reason = p.Reason
	}
	return marshal(r)
}
