package boot_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/setting"
	"github.com/jobhook/jobhook/shared/webhook"
)

func TestAnAccountIsErasedAlsoWhereThePlatformKeepsItsJobs(t *testing.T) {
	for _, c := range []struct {
		name     string
		env      map[string]string
		jobsLeft int
	}{
		{"jobs of our own", nil, 0},
		{"a table of the platform's", map[string]string{setting.Jobs: ""}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.deliveries(1)
			s.keep("boot-1")
			a := s.start("api", c.env)
			asked := s.call(a, "POST", "/v1/erasures", "application/json", `{"account":"`+solo+`"}`, http.StatusAccepted)
			if _, err := s.start("sweep", c.env).Invoke(t.Context(), s.payload("sweep-tick")); err != nil {
				t.Fatal(err)
			}
			f := s.start("export", c.env)
			if answer := invoke[events.SQSEventResponse](t, f, s.asked()); len(answer.BatchItemFailures) != 0 {
				t.Fatalf("export failed %+v", answer.BatchItemFailures)
			}
			s.erased(t, c.jobsLeft)
			var erasure struct {
				ID     string
				Counts map[string]int
			}
			if err := json.Unmarshal([]byte(asked.Body), &erasure); err != nil {
				t.Fatal(err)
			}
			answer := s.call(a, "GET", "/v1/erasures/"+erasure.ID, "", "", http.StatusOK)
			if err := json.Unmarshal([]byte(answer.Body), &erasure); err != nil {
				t.Fatal(err)
			}
			if n := erasure.Counts; n["deliveries"] != 1 || n["endpoints"] != 1 || n["files"] != 1 || n["jobs"] != 1-c.jobsLeft {
				t.Errorf("erased %v, want a delivery, an endpoint, a file, and %d jobs", n, 1-c.jobsLeft)
			}
			if log := read(t, f); slices.Contains(log.messages, "erasure.postponed") {
				t.Errorf("logged %q", log.messages)
			}
		})
	}
}

// keep writes a job of the account solo, and a file of it.
func (s *site) keep(id string) {
	s.Helper()
	_, _, err := s.store.WriteJob(s.Context(), id, job.KindAsync, func(*job.Job) (job.Job, error) {
		return job.Decode([]byte(`{"id":"` + id + `","kind":"async","account":"` + solo + `","status":"success","run":1}`))
	})
	if err != nil {
		s.Fatal(err)
	}
	bucket, key := s.env[setting.Results], files.RecordsFolder(solo, job.KindAsync, id, 1)+files.Part(1)
	if _, err := s.files.PutObject(s.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(records)}); err != nil {
		s.Fatal(err)
	}
}

// erased looks for what must be gone of the account solo, and for jobs that must not.
func (s *site) erased(t *testing.T, jobs int) {
	t.Helper()
	deliveries, _, err := s.store.Deliveries(t.Context(), webhook.Filter{Account: solo, Limit: webhook.MaxPage})
	if err != nil || len(deliveries) != 0 {
		t.Errorf("%d deliveries are left, %v", len(deliveries), err)
	}
	list, err := s.store.JobsByID(t.Context(), "boot-1")
	if err != nil || len(list) != jobs {
		t.Errorf("%d jobs are left, %v; want %d", len(list), err, jobs)
	}
	bucket := s.env[setting.Results]
	left, err := s.files.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil || len(left.Contents) != 0 {
		t.Errorf("the bucket still holds %d objects, %v", len(left.Contents), err)
	}
}
