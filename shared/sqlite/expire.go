package sqlite

import (
	"context"
	"time"
)

// How long results, resends and keys of sessions stay after they are over, to
// be looked at.
const (
	keepResults  = 7 * 24 * time.Hour  // after the set has expired
	keepResends  = 30 * 24 * time.Hour // after the end
	keepSessions = 24 * time.Hour      // after the end
)

const (
	expireOnce = `DELETE FROM once WHERE id IN
	(SELECT id FROM once INDEXED BY once_expires WHERE expires_at <= ? LIMIT ?)`
	expirePortalLinks = `DELETE FROM portal_links WHERE id IN
	(SELECT id FROM portal_links INDEXED BY portal_links_expires WHERE expires_at <= ? LIMIT ?)`
	expireSessions = `DELETE FROM keys WHERE id IN
	(SELECT id FROM keys INDEXED BY keys_over WHERE session = 1 AND revoked_at > 0 AND revoked_at <= ? LIMIT ?)`
	expireResends = `DELETE FROM resends WHERE (account, id) IN
	(SELECT account, id FROM resends INDEXED BY resends_ended WHERE ended_at > 0 AND ended_at <= ? LIMIT ?)`
	expiredResults  = `SELECT token FROM result_sets INDEXED BY result_sets_expires WHERE expires_at > 0 AND expires_at <= ? LIMIT ?`
	expireDownloads = `DELETE FROM downloads WHERE token = ?1 AND at IN (SELECT at FROM downloads WHERE token = ?1 LIMIT ?2)`
)

// expireRest removes what is over of all that is no delivery, up to limit rows
// of each kind.
func (s *Store) expireRest(ctx context.Context, now time.Time, limit int) error {
	for done := 0; done < limit; done += expireChunk {
		chunk, more := min(expireChunk, limit-done), false
		err := s.write(ctx, func(t *tx) (err error) {
			more, err = expireChunkOfRest(t.Conn, now, chunk)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// expireChunkOfRest tells whether there may be more.
func expireChunkOfRest(c conn, now time.Time, chunk int) (more bool, err error) {
	for _, over := range []struct {
		statement string
		before    time.Time
	}{
		{expireOnce, now}, {expirePortalLinks, now}, {expireSessions, now.Add(-keepSessions)}, {expireResends, now.Add(-keepResends)},
	} {
		if err := prepare(c, over.statement).time(over.before).int(chunk).exec(); err != nil {
			return false, err
		}
		more = more || c.Changes() == chunk
	}
	moreResults, err := expireResultSets(c, now.Add(-keepResults), chunk)
	return more || moreResults, err
}

// expireResultSets removes sets with their downloads. A set with very many of
// them loses a chunk at a time, and goes with the last.
func expireResultSets(c conn, before time.Time, chunk int) (more bool, err error) {
	var tokens []string
	err = prepare(c, expiredResults).time(before).int(chunk).each(func(r *row) error {
		tokens = append(tokens, r.text())
		return nil
	})
	room := chunk
	for _, token := range tokens {
		if err != nil || room <= 0 {
			return true, err
		}
		if err = prepare(c, expireDownloads).text(token).int(room).exec(); err != nil {
			return false, err
		}
		if room -= c.Changes() + 1; room >= 0 {
			err = prepare(c, `DELETE FROM result_sets WHERE token = ?`).text(token).exec()
		}
	}
	return len(tokens) == chunk || room < 0, err
}
