package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/jobhook/jobhook/shared/setting"
)

// options are the flags; each can be given by its environment variable.
type options struct {
	Addr          string        `default:"127.0.0.1:8080" env:"JOBHOOK_ADDR" help:"Address that the API listens on."`
	Data          string        `default:"data" env:"JOBHOOK_DATA" help:"Folder of the database and the keys. It is made if it is missing."`
	PublicURL     string        `env:"JOBHOOK_PUBLIC_URL" placeholder:"URL" help:"URL under which customers reach the API; begins the links in webhooks. Default: http:// and --addr."`
	AllowPrivate  bool          `env:"JOBHOOK_ALLOW_PRIVATE" help:"Let webhooks go to loopback and private addresses. For development only."`
	OperatorKey   string        `env:"JOBHOOK_OPERATOR_KEY" placeholder:"KEY" help:"API key with the operator scope, jh_live_<id>_<secret>. Default: made at the first start and written to operator.key in the data folder."`
	Operator      string        `name:"operator-account" env:"JOBHOOK_OPERATOR_ACCOUNT" placeholder:"ACCOUNT" help:"Account whose endpoints may subscribe to endpoint.failing, endpoint.disabled and endpoint.recovered of all accounts. Default: none."`
	Durability    string        `default:"power" enum:"power,process" env:"JOBHOOK_DURABILITY" help:"What an acknowledged write survives: power (loss), or only a killed process."`
	Retention     time.Duration `default:"720h" env:"JOBHOOK_RETENTION" help:"How long deliveries and their attempts are kept, at least 1h."`
	MaxInFlight   int           `default:"4096" env:"JOBHOOK_MAX_IN_FLIGHT" help:"Batches of ten attempts in flight, for first attempts and for retries each. An account may use a quarter of them."`
	DisableAfter  string        `default:"120h" env:"JOBHOOK_DISABLE_AFTER" help:"How long all attempts of an endpoint fail until it is disabled, at least 1h, or never. It is told before, see endpoint.failing."`
	Rate          int           `env:"JOBHOOK_RATE" placeholder:"N" help:"Requests to the API a second, for each key, or for an account's keys together. Default: 100 for accounts, no limit for others."`
	CORSOrigins   []string      `name:"cors-origin" env:"JOBHOOK_CORS_ORIGINS" placeholder:"ORIGIN" help:"Web pages that may call the API from a browser, such as https://app.example.com. Default: none."`
	ShutdownGrace time.Duration `default:"20s" env:"JOBHOOK_SHUTDOWN_GRACE" help:"How long a stop waits for requests and attempts under way."`
	LogLevel      string        `default:"info" enum:"debug,info,warn,error" env:"JOBHOOK_LOG_LEVEL" help:"Least severe log lines to print."`
	LogFormat     string        `default:"json" enum:"json,text" env:"JOBHOOK_LOG_FORMAT" help:"Form of the log lines, on standard error."`
	DebugAddr     string        `env:"JOBHOOK_DEBUG_ADDR" placeholder:"ADDR" help:"Loopback address that serves Go's profiles (net/http/pprof). Default: none."`
	Demo          bool          `env:"JOBHOOK_DEMO" help:"Play five jobs against a receiver of our own and print each webhook, then stay up. Implies --allow-private."`
	DemoOnce      bool          `help:"As --demo, then end: 0 when all webhooks arrived as expected, 1 with the reason otherwise."`
	DemoAddr      string        `default:"127.0.0.1:9090" env:"JOBHOOK_DEMO_ADDR" help:"Address of the demo's receiver."`
}

// errHelp says that help was asked for and printed.
var errHelp = errors.New("help was printed")

// parseOptions reads flags and environment, and reports every bad value.
func parseOptions(args []string) (o options, err error) {
	parser, err := kong.New(&o, kong.Name("standalone"), kong.UsageOnError(),
		kong.Description("Jobhook in one process: webhooks for jobs, delivered, retried, shown."),
		kong.Exit(func(int) { panic(errHelp) }))
	if err != nil {
		return o, err
	}
	defer func() {
		if p := recover(); p == errHelp {
			err = errHelp
		} else if p != nil {
			panic(p)
		}
	}()
	if _, err := parser.Parse(args); err != nil {
		return o, fmt.Errorf("%w (run with --help for all flags)", err)
	}
	o.Demo = o.Demo || o.DemoOnce
	o.AllowPrivate = o.AllowPrivate || o.Demo
	if o.PublicURL == "" {
		o.PublicURL = "http://" + o.Addr
	}
	return o, o.check()
}

// check looks at what types cannot say, all of it at once.
func (o options) check() error {
	var all []error
	if u, err := url.Parse(o.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		all = append(all, fmt.Errorf("--public-url %q: write an absolute URL such as https://hooks.example.com", o.PublicURL))
	}
	if o.Retention < time.Hour {
		all = append(all, fmt.Errorf("--retention %s: keep deliveries for at least 1h", o.Retention))
	}
	if _, err := setting.ParseDisableAfter(o.DisableAfter); err != nil {
		all = append(all, fmt.Errorf("--disable-after %w", err))
	}
	if o.MaxInFlight < 1 {
		all = append(all, fmt.Errorf("--max-in-flight %d: allow at least 1", o.MaxInFlight))
	}
	if o.Rate < 0 {
		all = append(all, fmt.Errorf("--rate %d: write requests a second, or leave it out", o.Rate))
	}
	for _, origin := range o.CORSOrigins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" {
			all = append(all, fmt.Errorf("--cors-origin %q: write scheme and host only, such as https://app.example.com", origin))
		}
	}
	if o.ShutdownGrace < 0 {
		all = append(all, fmt.Errorf("--shutdown-grace %s: write a duration such as 20s", o.ShutdownGrace))
	}
	return errors.Join(all...)
}

// disableAfter is the flag, which was checked, as webhook.HealthRules has it.
func (o options) disableAfter() time.Duration {
	d, _ := setting.ParseDisableAfter(o.DisableAfter)
	return d
}

func (o options) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(o.LogLevel)) // one of four words, checked by the parser
	handler := &slog.HandlerOptions{Level: level}
	if o.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(os.Stderr, handler))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, handler))
}
