package sqlite

import (
	"encoding/json"

	"github.com/jobhook/jobhook/shared/webhook"
)

// access ends all ways in, and the endpoints. They are few.
func (e *eraser) access() (more bool, err error) {
	if err := e.health(); err != nil {
		return false, err
	}
	for _, d := range []struct {
		thing webhook.Thing
		query string
	}{
		{webhook.ErasedKeys, `DELETE FROM keys INDEXED BY keys_account WHERE account = ?`},
		{webhook.ErasedPortalLinks, `DELETE FROM portal_links INDEXED BY portal_links_account WHERE account = ?`},
		{webhook.ErasedEndpoints, `DELETE FROM endpoints INDEXED BY endpoints_account WHERE account = ?`},
		{webhook.ErasedAccounts, `DELETE FROM accounts WHERE id = ?`},
	} {
		if err := e.remove(d.thing, prepare(e.conn, d.query).text(e.Account)); err != nil {
			return false, err
		}
	}
	return false, e.notices()
}

// health goes with the endpoints, whose ids somebody may use again.
func (e *eraser) health() error {
	var endpoints []string
	err := prepare(e.conn, `SELECT id FROM endpoints INDEXED BY endpoints_account WHERE account = ?`).text(e.Account).each(func(r *row) error {
		endpoints = append(endpoints, r.text())
		return nil
	})
	for _, id := range endpoints {
		if err == nil {
			err = e.endpointGone(id)
		}
	}
	return err
}

// notices are few: sweep tells them within seconds.
func (e *eraser) notices() error {
	var ids []string
	err := prepare(e.conn, `SELECT id, notice FROM notices`).each(func(r *row) error {
		if id := r.text(); accountOf(r.blob()) == e.Account {
			ids = append(ids, id)
		}
		return nil
	})
	for _, id := range ids {
		if err == nil {
			err = e.remove(webhook.ErasedNotices, prepare(e.conn, `DELETE FROM notices WHERE id = ?`).text(id))
		}
	}
	return err
}

// accountOf reads whose a JSON object is; "" when it does not say.
func accountOf(object []byte) string {
	var of struct{ Account string }
	if json.Unmarshal(object, &of) != nil {
		return ""
	}
	return of.Account
}
