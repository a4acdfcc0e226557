package sqlite

import (
	"testing"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestANoticeThatCannotBeReadHoldsUpNoOthers(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	n := webhook.Notice{Type: webhook.EndpointFailingEvent, Account: "acme", Endpoint: "ep_1", At: time.UnixMilli(1_000).UTC()}
	check(t, s.write(t.Context(), func(t *tx) error {
		if err := prepare(t.Conn, `INSERT INTO notices (id, notice) VALUES ('ntc_', 'no JSON')`).exec(); err != nil {
			return err
		}
		return putNotices(t.Conn, []webhook.Notice{n})
	}))
	list, err := s.Notices(t.Context(), 1)
	check(t, err)
	if len(list) != 1 || list[0].ID() != n.ID() {
		t.Errorf("got %+v, want the one that can be read", list)
	}
}
