package job

import "encoding/json"

// subjectAttribute names whom a job's data is about.
const subjectAttribute = "subject"

// Subject returns whom the data of a job is about, as its record says: "" where
// it does not, or cannot be read.
func Subject(record []byte) string {
	var room [usualMembers]Member
	members, _ := appendMembers(room[:0], record)
	for _, m := range members {
		if string(m.Name) != subjectAttribute {
			continue
		}
		var subject Text
		if json.Unmarshal(m.Value, &subject) != nil {
			return ""
		}
		return string(subject)
	}
	return ""
}
