package jobhook

// Props says how a Jobhook is to be. Where nothing else is said, the zero
// value means the default that stands beside it. The names in JSON are those of
// the stages in cdk.json.
type Props struct {
	// Stage names this Jobhook in its metrics, such as dev or prod. It must be set.
	Stage string `json:"-"`
	// LogLevel is debug, info, warn or error: the least severe that the functions log. Info.
	LogLevel string `json:"logLevel"`
	// Days is how long things are kept.
	Days Days `json:"days"`
	// Removal says what becomes of tables, buckets, keys and logs when their
	// stack goes: retain or destroy. Retain.
	Removal string `json:"removal"`
	// AlarmEmail is told of alarms, once it has confirmed that it wants to be. Nobody.
	AlarmEmail string `json:"alarmEmail"`
	// OperatorAccount is the account whose endpoints may subscribe to what happens
	// to the endpoints of all accounts. None.
	OperatorAccount string `json:"operatorAccount"`
	// DisableAfterDays is after how many days of failures only an endpoint is
	// disabled; below 0 never. 5.
	DisableAfterDays int `json:"disableAfterDays"`
	// CORSOrigins are the web pages that may call the API from a browser, such as
	// https://app.example.com. None.
	CORSOrigins []string `json:"corsOrigins"`
	// Domain is a name of your own for the API. None.
	Domain Domain `json:"domain"`
	// PublicURL is under what customers reach the API when that is neither
	// Domain nor the URL that API Gateway gives, such as a CDN before it.
	PublicURL string `json:"publicUrl"`
	// First and Retry say how deliver is fed with first attempts and with retries.
	First Lane `json:"first"`
	Retry Lane `json:"retry"`
	// Exports says how export is fed with the runs whose records become files.
	Exports ExportLane `json:"exports"`
	// StreamParallelization is how many batches of one shard of the stream are
	// dispatched at once, 1 to 10. 4.
	StreamParallelization int `json:"streamParallelization"`
	// Warm is what the tables can take from their first second on. On-demand
	// tables begin with 4,000 writes and 12,000 reads a second and grow by
	// themselves. AWS charges once for what is asked beyond.
	Warm Throughput `json:"warmThroughput"`
	// Throttle bounds the requests to the API.
	Throttle Throttle `json:"throttle"`
	// MemoryMB is the memory of the functions; their share of a CPU goes with it.
	MemoryMB Memory `json:"memoryMB"`
	// JobsTable is the platform's own table of jobs. Nil makes one.
	JobsTable *JobsTable `json:"jobsTable"`
	// Assets is the folder with the built functions, <function>/bootstrap. build/lambda.
	Assets string `json:"-"`
}

// Days is how long things are kept, in days.
type Days struct {
	Deliveries int `json:"deliveries"` // deliveries with their attempts and events, and uploaded inputs; 30
	Logs       int `json:"logs"`       // all logs; 30. CloudWatch knows certain numbers only
	Results    int `json:"results"`    // uploaded records and result files, at least as long as their links work; 14
}

// Domain is a domain name for the API. Its DNS record is the caller's to make;
// it points to Service.DomainTarget.
type Domain struct {
	Name           string `json:"name"`
	CertificateARN string `json:"certificateArn"` // of a certificate in the region of the stack
}

// Lane says how deliver is fed from one of the two queues.
type Lane struct {
	// BatchSize is the most messages per invocation, 1 to 10,000. 10.
	BatchSize int `json:"batchSize"`
	// WindowSeconds is how long SQS gathers messages for a batch, 0 to 300. A
	// BatchSize above 10 needs at least 1.
	WindowSeconds int `json:"windowSeconds"`
	// MaxConcurrency is the most invocations at once, 2 to 1,000; 0 is no limit but the account's.
	MaxConcurrency int `json:"maxConcurrency"`
}

// ExportLane says how export is fed. It takes one run at a time.
type ExportLane struct {
	// MaxConcurrency is the most exports at once, 2 to 1,000. 10.
	MaxConcurrency int `json:"maxConcurrency"`
}

// Throughput is units a second; 0 leaves it to AWS.
type Throughput struct {
	Read  int `json:"read"`
	Write int `json:"write"`
}

// Throttle bounds requests a second.
type Throttle struct {
	Rate   int `json:"rate"`   // of all callers together, over time; 1,000
	Burst  int `json:"burst"`  // of all callers together, at once; 2,000
	PerKey int `json:"perKey"` // of each key, or of an account's keys together; 100 for accounts, and no bound for others
}

// Memory is memory in MB, 128 to 10,240.
type Memory struct {
	Dispatch int `json:"dispatch"` // 256
	Deliver  int `json:"deliver"`  // 256
	Sweep    int `json:"sweep"`    // 256
	Export   int `json:"export"`   // 512
	API      int `json:"api"`      // 512
}

// What becomes of data when its stack goes.
const (
	Retain  = "retain"
	Destroy = "destroy"
)

// withDefaults returns the props with the defaults in place of zero values.
func (p Props) withDefaults() Props {
	p.LogLevel = or(p.LogLevel, "info")
	p.Removal = or(p.Removal, Retain)
	p.Assets = or(p.Assets, "build/lambda")
	p.Days = Days{Deliveries: or(p.Days.Deliveries, 30), Logs: or(p.Days.Logs, 30), Results: or(p.Days.Results, 14)}
	p.First.BatchSize, p.Retry.BatchSize = or(p.First.BatchSize, 10), or(p.Retry.BatchSize, 10)
	p.Exports.MaxConcurrency = or(p.Exports.MaxConcurrency, 10)
	p.StreamParallelization = or(p.StreamParallelization, 4)
	p.DisableAfterDays = or(p.DisableAfterDays, 5)
	p.Throttle.Rate, p.Throttle.Burst = or(p.Throttle.Rate, 1000), or(p.Throttle.Burst, 2000)
	p.MemoryMB = Memory{
		Dispatch: or(p.MemoryMB.Dispatch, 256), Deliver: or(p.MemoryMB.Deliver, 256),
		Sweep: or(p.MemoryMB.Sweep, 256), Export: or(p.MemoryMB.Export, 512), API: or(p.MemoryMB.API, 512),
	}
	return p
}

// or returns the value, or the default where it is zero.
func or[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
