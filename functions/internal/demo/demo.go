// Package demo shows the product at work: it plays five short jobs, one per
// format, through the HTTP API, receives their webhooks at a receiver of its
// own, checks each and prints it. It stands where a job platform and its
// customers will stand, and knows the product from outside only.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// limit bounds a play, from its first write to its last webhook.
const limit = 60 * time.Second

// Config is what a play needs.
type Config struct {
	API  string    // base URL of the product
	Key  string    // an operator's API key
	Addr string    // where the receiver listens, host:port
	Out  io.Writer // for people; in colour if it is a terminal and NO_COLOR is unset
	Once bool      // end after the five jobs, rather than go on receiving

	KeyFile string // where the key is kept, for people; "" leaves it out
}

// Play plays the five jobs and prints what arrives. With Once it returns nil
// when all webhooks arrived as expected, and an error that names what is
// missing or wrong otherwise, after limit at the latest. Without Once it prints
// that error and goes on receiving until ctx ends, then returns nil. A receiver
// that cannot listen is an error in both.
func Play(ctx context.Context, c Config) error {
	out := newPrinter(c.Out)
	ids := newCast(time.Now())
	api := newClient(c.API, c.Key)
	defer api.close()
	r, err := newReceiver(c.Addr, api, out, ids)
	if err != nil {
		return err
	}
	defer r.close()
	s := &show{api: api, receiver: r, out: out, ids: ids}
	err = s.play(ctx)
	switch {
	case c.Once:
		return err
	case ctx.Err() != nil:
		return nil
	}
	s.tryNext(ctx)
	s.openDashboard(ctx, c.KeyFile)
	<-ctx.Done()
	return nil
}

// show is one play under way.
type show struct {
	api      *client
	receiver *receiver
	out      *printer
	ids      cast
	delivery string // of the signed webhook, once it is known
}

// play plays the jobs one after the other, so that people can follow, and then
// waits for what is still to come.
func (s *show) play(whole context.Context) error {
	ctx, cancel := context.WithTimeoutCause(whole, limit, fmt.Errorf("the %.0f s that a demo may take are over", limit.Seconds()))
	defer cancel()
	s.out.opening(s.receiver.url)
	var failed []string
	for _, p := range s.plays() {
		s.out.title(p.format, p.about)
		if err := p.run(ctx); err != nil {
			failed = append(failed, p.format+": "+err.Error())
		}
	}
	if len(failed) == 0 { // else what is missing stays missing
		failed = s.receiver.await(ctx)
	}
	if len(failed) == 0 {
		if err := s.findDelivery(ctx); err != nil {
			failed = append(failed, err.Error())
		}
	}
	var err error
	if len(failed) > 0 {
		err = errors.New("demo: " + strings.Join(failed, "; "))
	}
	if whole.Err() == nil { // who ends it early knows that it is not complete
		s.out.closing(s.receiver.totals(), err)
	}
	return err
}

// tryNext prints commands that work as they stand, with a key that can see the
// account of the signed webhook only.
func (s *show) tryNext(ctx context.Context) {
	var minted struct {
		Key string `json:"key"`
	}
	if err := s.api.call(ctx, "POST", "/v1/accounts/"+accountStandard+"/keys", map[string]string{"name": "demo"}, &minted); err != nil {
		s.out.title("next", "no commands to try: "+err.Error())
		s.out.next(s.receiver.table())
		return
	}
	list := s.api.base + "/v1/deliveries"
	one := list + "/" + s.delivery
	if s.delivery == "" {
		s.out.next(s.receiver.table(), curl(minted.Key, "", list))
		return
	}
	s.out.next(s.receiver.table(), curl(minted.Key, "", list), curl(minted.Key, "", one), curl(minted.Key, "-X POST ", one+":resend"))
}

// openDashboard says how to see all of it in a browser.
func (s *show) openDashboard(ctx context.Context, keyFile string) {
	link, err := s.furnish(ctx)
	if err != nil {
		s.out.title("dashboard", "its demo data is not complete: "+err.Error())
	}
	s.out.dashboard(s.receiver.url, s.api.base, link, keyFile)
}

// curl writes a command that needs nothing before it. Keys hold letters,
// digits and _ only.
func curl(key, options, url string) string {
	return fmt.Sprintf(`KEY=%s; curl -s %s-H "Authorization: Bearer $KEY" '%s'`, key, options, url)
}
