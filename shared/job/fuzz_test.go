package job

import (
	"encoding/json"
	"testing"
)

// FuzzDecode holds Decode to encoding/json: it takes no record that is no JSON,
// and the quick way reads what the slow one reads.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","account":"acme","kind":"async","status":"success"}`, `{"id":"1","account":"acme","kind":"batch","status":"idle","searches_total":3}`,
		`{"ID":"1","\u0069d":"2","account":"a","kind":"async","status":"error"}`, `{"id":"\ud800","account":"a","kind":"scraping","status":"finished","run":1e2}`,
		`{"id":"1","account":"a","kind":"pipeline","status":"completed","result_set":{"id":1},"x":[1,{"y":"}"}]}`, `{"id":"1","account":"a","kind":"async","status":"pending","Statusſ":"x","Statuſ":"success"}`,
		`{"id":1}`, `{}`, `[]`, `null`, `{"id":"1",}`, "", `{"a":01}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		j, err := Decode(record)
		if err == nil && !json.Valid(record) {
			t.Errorf("%q is no JSON and is read as %+v", record, j)
		}
		_, _ = DecodeValid(record) // it must not panic, no more
		quick, ok := decodeQuickly(record)
		if !ok || !json.Valid(record) {
			return
		}
		var c core
		if err := json.Unmarshal(record, &c); err != nil {
			t.Fatalf("%q: the quick way reads what encoding/json does not: %v", record, err)
		}
		if slow := c.job(record); !quick.Equal(slow) {
			t.Errorf("%q:\nquick %+v\nslow  %+v", record, quick, slow)
		}
	})
}
