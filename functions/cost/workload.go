package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

const (
	accounts    = 20
	deadAccount = "acct-dead" // of the endpoint that fails
	limitedRate = 100         // of each endpoint that is limited
	bodyBytes   = 1 << 10     // of each webhook
	publicURL   = "https://hooks.example.com"
)

// deadJobs and failingJobs are one of so many.
const (
	deadJobs    = 100
	failingJobs = 10
)

// workload makes the changes of job records: jobs of kind async, 1 KB each as
// they arrive, that end in the change.
type workload struct {
	scenario scenario
	random   *rand.Rand
	words    []string
}

func newWorkload(s scenario) *workload {
	return &workload{scenario: s, random: rand.New(rand.NewPCG(3, 1_000)), words: strings.Fields(vocabulary)}
}

// change is the stream record of job number i, which ended at the given time.
func (w *workload) change(i int, at time.Time) events.DynamoDBEventRecord {
	account := accountName(w.random.IntN(accounts))
	if w.scenario.aside(i) {
		account = deadAccount
	}
	ran := time.Duration(2_000+w.random.IntN(58_000)) * time.Millisecond
	old := map[string]events.DynamoDBAttributeValue{
		"account": events.NewStringAttribute(account), "kind": events.NewStringAttribute("async"),
		"id": events.NewStringAttribute(jobID(i)), "status": events.NewStringAttribute("processing"),
		"run": events.NewNumberAttribute("1"), "created_at": events.NewStringAttribute(at.Add(-ran).Format("2006-01-02T15:04:05.000Z")),
	}
	next := map[string]events.DynamoDBAttributeValue{
		"status":  events.NewStringAttribute("success"),
		"message": events.NewStringAttribute(w.message(bodyBytes - bodyWithout)),
		"result": events.NewMapAttribute(map[string]events.DynamoDBAttributeValue{
			"datafile_url": events.NewStringAttribute("https://s3.amazonaws.com/exports/" + jobID(i) + ".jsonl"),
		}),
	}
	for name, v := range old {
		if _, changed := next[name]; !changed {
			next[name] = v
		}
	}
	return events.DynamoDBEventRecord{
		EventID: fmt.Sprintf("%032x", i), EventName: "MODIFY", EventVersion: "1.1", EventSource: "aws:dynamodb", AWSRegion: region,
		Change: events.DynamoDBStreamRecord{
			ApproximateCreationDateTime: events.SecondsEpochTime{Time: at.Truncate(time.Second)},
			Keys:                        map[string]events.DynamoDBAttributeValue{"id": old["id"], "kind": old["kind"]},
			SequenceNumber:              fmt.Sprintf("1%025d", i), StreamViewType: "NEW_AND_OLD_IMAGES",
			NewImage: next, OldImage: old,
		},
	}
}

func accountName(i int) string { return fmt.Sprintf("acct-%04d", i) }

// jobID is a UUID whose last digits are the number.
func jobID(i int) string {
	r := rand.New(rand.NewPCG(7, uint64(i)))
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), i)
}

// jobNumber is the reverse of jobID.
func jobNumber(id string) (i int, ok bool) {
	n, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 16, 64)
	return int(n), err == nil && jobID(int(n)) == id
}

// message returns n bytes of plain prose, of words in random order: sentences
// that repeat would be deflated to next to nothing.
func (w *workload) message(n int) string {
	if w.scenario.incompressible {
		return w.noise(n)
	}
	var b strings.Builder
	for b.Len() < n {
		words := 6 + w.random.IntN(12)
		for i := range words {
			if i > 0 {
				b.WriteByte(' ')
			}
			if w.random.IntN(12) == 0 {
				fmt.Fprintf(&b, "%d", w.random.IntN(100_000))
				continue
			}
			b.WriteString(w.words[w.random.IntN(len(w.words))])
		}
		b.WriteString(". ")
	}
	return b.String()[:n]
}

// noise is text that cannot be deflated: base64 of random bytes.
func (w *workload) noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// bodyWithout is the length of a standard body whose message is left empty but
// for the member itself. The receiver holds it.
const bodyWithout = 285

// vocabulary is what jobs talk about.
const vocabulary = `a about account across added after again all also amount an and any are article as
 at available average back be because been before being below between both branch brand browser but by called can
 cannot captcha cart category changed check city client code collected column come company complete connection contact
 content could country currency customer data dataset date day days delay delivered detail did different do document
 does domain done download during each early email empty end engine enough entries error even every expected export
 extra failed fast fetched few field file filter final find first following for form format found from full further
 given group had has have header high history hotel hour how however if image in include index information into invoice
 is it item items its job just keep key keyword known language large last late later layout left length less limit line
 link list listing local location login longer low made mail main many map market matched may maximum means message
 middle minute missing mobile more most moved much must name near new next no not note number of offer old on once one
 only open option or order other our out over own page pages parsed part path people per phone place platform point
 position post price product profile profiles proxy public published quality query quota range rate read ready reason
 received record redirect region rejected related remaining report request required response result retry return review
 row run same sample saved schema score search second section see seller server session set several shipping short
 should shown since site size skipped small snapshot so some source special stage start state status still stock stop
 store street such sum support system table target taken text than that the their them then there these they this those
 three through time timeout title to today token too top total tracking trial two type under unique unit until update
 upload url us use used user valid value variant version very video view visit waiting was way we website week well were
 what when where whether which while who whole will with within without word work would year zone`
