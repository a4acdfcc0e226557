package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// life is all that an account may have: among it jobs j1 and j2 of the subject
// user-17, j3 of another, and an event of that subject whose job has no record.
func (s store) life(account string) {
	s.Helper()
	at := now()
	s.ok(s.PutAccount(s.ctx(), webhook.Account{ID: account, Name: "them", CreatedAt: at, UpdatedAt: at}))
	s.ok(s.PutKey(s.ctx(), key("k"+account, account, at)))
	s.ok(s.PutKey(s.ctx(), s.session("s"+account, account)))
	s.ok(s.PutPortalLink(s.ctx(), webhook.PortalLink{ID: "l" + account, Account: account, Hash: []byte("h"), CreatedAt: at, ExpiresAt: at.Add(time.Hour)}))
	s.endpoint(account, account+"-e1")
	s.endpoint(account, account+"-e2")
	read := s.healthOf(account, account+"-e1")
	s.ok(s.SetHealth(s.ctx(), account, read, raised(sick(read)), s.notice(account, account+"-e1")))
	s.ok(s.PutLedger(s.ctx(), ledgerOf(account)))
	s.ok(s.PutResend(s.ctx(), webhook.Resend{ID: "rsd_" + account, Account: account, State: webhook.ResendRunning, Rate: 1, Version: 1, CreatedAt: at, UpdatedAt: at}))
	hour := at.Truncate(time.Hour)
	s.ok(s.AddStats(s.ctx(), []webhook.Stats{stats(account, account+"-e1", hour, 1, 2), stats(account, "", hour, 3, 4)}))
	s.eventually("statistics are written", func() bool {
		list, err := s.Stats(s.ctx(), account, account+"-e1", hour, hour.Add(time.Hour))
		s.ok(err)
		return len(list) > 0
	})
	for _, j := range []job.Job{
		s.makeJob(account, account+"-j1", job.KindBatch, "idle", `"subject":"user-17"`),
		s.makeJob(account, account+"-j2", job.KindAsync, "success", `"subject":"user-17","name":"x"`),
		s.makeJob(account, account+"-j3", job.KindAsync, "success", `"subject":"user-18"`),
		s.makeJob(account, account+"-lost", job.KindAsync, "success", `"subject":"user-17"`),
	} {
		if !strings.HasSuffix(j.ID, "lost") {
			s.write(j)
		}
		p := s.plan(j, webhook.JobFinished, "1", toEndpoint(account+"-e1"), toURL("https://example.com/hook"))
		_, err := s.Put(s.ctx(), []webhook.Planned{p})
		s.ok(err)
		s.mustAttempt(s.row(p.Deliveries[0].Ref()), webhook.StateDelivered)
		s.mustAttempt(s.row(p.Deliveries[1].Ref()), webhook.StateExhausted)
	}
	progress := s.plan(s.makeJob(account, account+"-j3", job.KindAsync, "processing", `"subject":"user-18"`), webhook.JobProgress, "0", toEndpoint(account+"-e1"))
	_, err := s.Put(s.ctx(), []webhook.Planned{progress})
	s.ok(err)
	set := s.begun(s.resultSet(account, account+"-j1", 1))
	for i := range 2 {
		s.ok(s.AddDownload(s.ctx(), set.Token, webhook.Download{At: at.Add(time.Duration(i) * time.Second), File: "a.csv", Method: "GET"}))
	}
}

// everything is what an account has, by name.
func (s store) everything(account string) map[string]any {
	s.Helper()
	all := map[string]any{}
	keep := func(name string, v any, err error) {
		s.Helper()
		if err == nil {
			all[name] = v
		} else {
			s.want(err, webhook.ErrNotFound)
		}
	}
	a, err := s.Account(s.ctx(), account)
	keep("account", a, err)
	for _, id := range []string{"k", "s"} {
		k, err := s.Key(s.ctx(), id+account)
		keep("key "+id, k, err)
	}
	accounts, _, err := s.Accounts(s.ctx(), "", 10)
	s.ok(err)
	if at := slices.IndexFunc(accounts, func(a webhook.Account) bool { return a.ID == account }); at >= 0 {
		all["account in the list"] = accounts[at]
	}
	r, err := s.Resend(s.ctx(), account, "rsd_"+account)
	keep("resend", r, err)
	for _, id := range []string{"-e1", "-e2"} {
		e, err := s.Endpoint(s.ctx(), account, account+id)
		keep("endpoint "+id, e, err)
	}
	for _, endpoint := range []string{"", account + "-e1"} {
		list, err := s.Stats(s.ctx(), account, endpoint, now().Add(-48*time.Hour), now().Add(time.Hour))
		s.ok(err)
		if len(list) > 0 {
			all["stats "+endpoint] = list
		}
	}
	for id, kind := range map[string]job.Kind{"j1": job.KindBatch, "j2": job.KindAsync, "j3": job.KindAsync, "lost": job.KindAsync} {
		for name, v := range s.everythingOf(account, kind, id) {
			all[id+" "+name] = v
		}
	}
	running, err := s.RunningResends(s.ctx(), 10)
	s.ok(err)
	if slices.ContainsFunc(running, func(r webhook.Resend) bool { return r.Account == account }) {
		all["running resend"] = true
	}
	for name, v := range s.toldAndCounted(account) {
		all[name] = v
	}
	return all
}

// toldAndCounted is what sweep keeps of an account of life, by name.
func (s store) toldAndCounted(account string) map[string]any {
	s.Helper()
	all := map[string]any{}
	health, err := s.Health(s.ctx(), account)
	s.ok(err)
	if len(health) > 0 {
		all["health"] = health
	}
	notices, err := s.Notices(s.ctx(), 10)
	s.ok(err)
	for _, n := range notices {
		if n.Account == account {
			all["notice of "+n.Endpoint] = n
		}
	}
	ledger, err := s.Ledger(s.ctx(), account)
	if err == nil {
		all["ledger"] = ledger
	} else {
		s.want(err, webhook.ErrNotFound)
	}
	counted, err := s.Counted(s.ctx(), account, time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	s.ok(err)
	if counted > 0 {
		all["deliveries counted"] = counted
	}
	accounts, err := s.LedgerAccounts(s.ctx(), "", 10)
	s.ok(err)
	if slices.Contains(accounts, account) {
		all["account of the ledger"] = true
	}
	return all
}

// everythingOf is what a job of life has, by name.
func (s store) everythingOf(account string, kind job.Kind, id string) map[string]any {
	s.Helper()
	all := map[string]any{}
	id = strings.TrimPrefix(id, account+"-")
	full := account + "-" + id
	if id == "large" {
		full = id
	}
	jobs, err := s.JobsByID(s.ctx(), full)
	s.ok(err)
	if len(jobs) > 0 {
		all["record"] = string(jobs[0].Record)
	}
	for _, v := range s.pageEvents(webhook.EventFilter{Account: account, JobID: full, Limit: 100, Records: true}) {
		all["event "+v.ID] = string(v.Record)
	}
	for after := ""; ; {
		list, next, err := s.Deliveries(s.ctx(), webhook.Filter{Account: account, JobID: full, Limit: 100, After: after})
		s.ok(err)
		for _, d := range list {
			all["delivery "+d.ID] = d
			all["attempts of "+d.ID] = s.attempts(d.Ref())
		}
		if after = next; next == "" {
			break
		}
	}
	sets, err := s.ResultSets(s.ctx(), account, kind, full)
	s.ok(err)
	for _, set := range sets {
		downloads, err := s.Downloads(s.ctx(), set.Token, 10)
		s.ok(err)
		all["result set"], all["downloads"] = set, downloads
	}
	return all
}
