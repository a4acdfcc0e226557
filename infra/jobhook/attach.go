package jobhook

import (
	"maps"
	"slices"
	"strings"
)

// JobsTable is a table of jobs that the platform has already. Jobhook reads its
// stream and nothing else: it neither reads nor writes the table.
type JobsTable struct {
	// StreamARN is the table's stream. It must carry new and old images.
	StreamARN string `json:"streamArn"`
	// KeyARN is the customer's key that the table is encrypted with. Empty for a table under a key of AWS's.
	KeyARN string `json:"keyArn"`
	// Attributes say what the table calls an attribute of a job record, such
	// as id: jobId. Those left out are called as in a job record.
	Attributes map[string]string `json:"attributes"`
	// Constants say what an attribute is in every row, such as kind: scraping,
	// where the table has no such attribute.
	Constants map[string]string `json:"constants"`
}

// Mapping returns the attributes and constants as the functions read them from
// setting.Attributes, such as id=jobId,account=customer,kind:=scraping.
func (t JobsTable) Mapping() string {
	all := pairs(t.Attributes)
	for _, name := range slices.Sorted(maps.Keys(t.Constants)) {
		all = append(all, name+":="+t.Constants[name])
	}
	return strings.Join(all, ",")
}

// pairs returns name=value in the order of the names: a template must come out
// the same each time.
func pairs(m map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+"="+m[name])
	}
	return list
}
