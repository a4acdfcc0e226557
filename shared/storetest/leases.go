package storetest

import (
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func leasePromises() []promise {
	return []promise{
		{"an endpoint is granted what its rate allows, and no more", func(s store) {
			const rate = 20
			started, granted := time.Now(), 0
			for range 20 {
				granted += s.leases("ep_1", rate, rate)
				s.clock.Advance(50 * time.Millisecond)
			}
			if most := mostLeased(rate, started); granted < rate || granted > most {
				s.Errorf("%d attempts were granted, want %d to %d", granted, rate, most)
			}
		}},
		{"many that lease at once share one rate, and what is spent comes back with time", func(s store) {
			const rate = 2
			started := time.Now()
			grants := make([]int, 10)
			for _, err := range together(len(grants), func(i int) (err error) {
				grants[i], err = s.Lease(s.ctx(), "acme", "ep_1", rate, 1000)
				return err
			}) {
				s.ok(err)
			}
			granted := 0
			for _, n := range grants {
				granted += n
			}
			if most := mostLeased(rate, started); granted < 1 || granted > most {
				s.Errorf("%d were granted at once, want 1 to %d", granted, most)
			}
			for s.leases("ep_1", rate, 1) == 0 {
				if time.Since(started) > 3*webhook.LeaseWindow {
					s.Fatal("nothing comes back")
				}
				s.clock.Advance(200 * time.Millisecond)
			}
		}},
		{"one endpoint's lease takes nothing from another's", func(s store) {
			for s.leases("ep_1", 1, 1000) > 0 {
			}
			same(s, "granted to another endpoint", s.leases("ep_2", 1, 1), 1)
		}},
		{"who asks for few is granted no more", func(s store) {
			same(s, "granted", s.leases("ep_1", 1000, 3), 3)
			same(s, "granted of none", s.leases("ep_1", 1000, 0), 0)
		}},
	}
}

// leases leases attempts of an endpoint of acme.
func (s store) leases(endpoint string, rate, n int) int {
	s.Helper()
	granted, err := s.Lease(s.ctx(), "acme", endpoint, rate, n)
	s.ok(err)
	if granted < 0 || granted > n {
		s.Errorf("%d were granted of %d", granted, n)
	}
	return granted
}

// mostLeased is what may have been leased since then.
func mostLeased(rate int, since time.Time) int {
	return int(float64(rate) * (time.Since(since) + 2*webhook.LeaseWindow).Seconds())
}
