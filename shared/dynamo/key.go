package dynamo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// The deliveries table by partition key; # stands for a separator, as the part
// before it never holds one and the last part of a key is of fixed form.
//
//	d#<account>#<shard>    events, and deliveries beside them
//	t#<delivery>#<account> attempts of a delivery
//	a#<account>            the account, its endpoints, its keys, apart from them those of sessions, its bulk resends
//	k#<key>                a key, by its id
//	e#<endpoint>           whose endpoint it is
//	h#<account>            statistics
//	s#<hash>               silence of a URL
//	s#                     until when any URL is silent, or any host is remembered
//	hosts                  hosts that fail, by the hash of their name
//	l#<endpoint>#<account> attempts of a limited endpoint, by window of time
//	notices                changes of endpoints' health that are to be told, by time
//	stopped                scraping jobs that are to be shelved, by the time they stopped
//	stopped#<job>          when a job stopped last
//	rs#<hash of a job>     its result sets, and apart from them their downloads
//	resends                bulk resends that are running, of all accounts
//	erasures               erasures of accounts and subjects, which stay as receipts
//	erasing                those that are running
//	accounts               all accounts that were put, and others that the ledger looks at, see ledger.go
//	n#<account>            deliveries that dispatch counted for the ledger, by hour
//	ledgers                the last ledger of each account, and of all
//	ledger                 how far the ledger's check is
//	once#<hash>            a request that is to be done once
//	link#<link>            a link into the portal
const (
	prefixDeliveries = "d#"
	prefixAttempts   = "t#"
	prefixAccount    = "a#"
	prefixKey        = "k#"
	prefixOwner      = "e#"
	prefixStats      = "h#"
	prefixSilence    = "s#"
	hostsPK          = "hosts"
	prefixLease      = "l#"
	noticesPK        = "notices"
	stoppedPK        = "stopped"
	prefixResultSets = "rs#"
	resendsPK        = "resends"
	prefixOnce       = "once#"
	prefixLink       = "link#"
)

// Sort keys.
const (
	skAccount  = "account"
	skDefault  = "default" // names the account's default endpoint
	skEndpoint = "endpoint#"
	skKey      = "key#"
	skSession  = "session#"
	skResend   = "resend#"
	skSet      = "set#"
	skDownload = "get#" // apart from the sets, so that a list of those does not read them
	skOnly     = "-"    // of partitions with one item
)

// shards is how many partitions hold the deliveries of one account: each takes
// 1,000 writes a second. It must never change.
const shards = 8

// Forms of the ids, see webhook.EventID and webhook.DeliveryID: ten characters
// of time, 16 of the event, ten of the target.
const (
	eventID    = "evt_"
	deliveryID = "dlv_"
	timeChars  = 10
	eventChars = 26
	rowChars   = 36
)

// shardOf spreads an account's jobs by their creation time, which begins all
// ids of a job: events and deliveries of one job lie together.
func shardOf(tail string) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, tail[:timeChars]) // a hash takes everything
	return int(h.Sum32() % shards)
}

func partition(account string, shard int) string {
	return prefixDeliveries + account + "#" + strconv.Itoa(shard)
}

// eventKey tells where an event is; false for what is no event's id.
func eventKey(account, id string) (key, bool) {
	tail, ok := strings.CutPrefix(id, eventID)
	if !ok || len(tail) != eventChars {
		return key{}, false
	}
	return key{partition(account, shardOf(tail)), tail}, true
}

// rowKey tells where a delivery's row is; false for what is no delivery's id.
func rowKey(r webhook.Ref) (key, bool) {
	tail, ok := strings.CutPrefix(r.ID, deliveryID)
	if !ok || len(tail) != rowChars {
		return key{}, false
	}
	return key{partition(r.Account, shardOf(tail)), tail}, true
}

// eventOf is where the event of a delivery is.
func (k key) eventOf() key { return key{k.pk, k.sk[:eventChars]} }

// isEvent tells an event from a delivery in their partition.
func (k key) isEvent() bool { return len(k.sk) == eventChars }

func attemptsPK(r webhook.Ref) string { return prefixAttempts + r.ID + "#" + r.Account }

func attemptKey(a webhook.Attempt) key {
	return key{attemptsPK(webhook.Ref{Account: a.Account, ID: a.Delivery}), sortable(a.At)}
}

func accountKey(id string) key { return key{prefixAccount + id, skAccount} }

func defaultKey(account string) key { return key{prefixAccount + account, skDefault} }

func endpointKey(account, id string) key { return key{prefixAccount + account, skEndpoint + id} }

func ownerKey(endpoint string) key { return key{prefixOwner + endpoint, skOnly} }

func keyKey(id string) key { return key{prefixKey + id, skOnly} }

func accountsKeyKey(account, id string) key { return key{prefixAccount + account, skKey + id} }

func sessionKey(account, id string) key { return key{prefixAccount + account, skSession + id} }

func resendKey(account, id string) key { return key{prefixAccount + account, skResend + id} }

// runningKey is where a resend stands while it runs. No id has a space.
func runningKey(account, id string) key { return key{resendsPK, id + " " + account} }

func onceKey(id string) key { return key{prefixOnce + id, skOnly} }

func linkKey(id string) key { return key{prefixLink + id, skOnly} }

// resultSetKey pads the run, so that runs sort as they count.
func resultSetKey(jobHash string, run int) key {
	return key{prefixResultSets + jobHash, fmt.Sprintf("%s%019d", skSet, run)}
}

// downloads begins the sort keys of a set's downloads, beside the set.
func (k key) downloads() string { return skDownload + k.sk[len(skSet):] + "#" }

func lastStop(job string) key { return key{stoppedPK + "#" + job, skOnly} }

// anyTrouble is where a reader sees that it need not look for silences, nor
// for hosts.
func anyTrouble() key { return key{prefixSilence, skOnly} }

// silenceKey hashes the URL, which may be longer than a key.
func silenceKey(url string) key { return key{prefixSilence + hashed(url), skOnly} }

// hostKey hashes the host's name, which may be as long as a URL.
func hostKey(host string) key { return key{hostsPK, hashed(host)} }

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func leaseKey(account, endpoint string, window time.Time) key {
	return key{prefixLease + endpoint + "#" + account, sortable(window)}
}

func noticeKey(id string) key { return key{noticesPK, id} }

// sortable writes a time so that text order is time order.
func sortable(t time.Time) string {
	var b [8]byte
	for i, n := 7, uint64(micros(t)); i >= 0; i, n = i-1, n>>8 {
		b[i] = byte(n)
	}
	return hex.EncodeToString(b[:])
}
