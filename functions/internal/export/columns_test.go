package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jobhook/jobhook/shared/job"
)

func TestPathsAreRead(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"  ", nil},
		{"a", []string{"a"}},
		{" a.b ,\tc.0.d\n", []string{"a.b", "c.0.d"}},
		{"a,b,a, b", []string{"a", "b"}},
		{"größe.東京,with space.x", []string{"größe.東京", "with space.x"}},
	} {
		got, err := ParsePaths(test.text)
		if diff := cmp.Diff(got, test.want); err != nil || diff != "" {
			t.Errorf("%q: %v (-got +want):\n%s", test.text, err, diff)
		}
	}
}

func TestABadPathIsNamed(t *testing.T) {
	many := strings.TrimSuffix(manyPaths(MaxColumns+1), ",")
	for _, test := range []struct{ text, want string }{
		{"a,,b", "path 2 is empty"},
		{"a,", "path 2 is empty"},
		{",", "path 1 is empty"},
		{".a", `path ".a" has an empty name`},
		{"a.", `path "a." has an empty name`},
		{"b,a..b", `path "a..b" has an empty name`},
		{strings.Repeat("x", MaxPath+1), "has 257 bytes; the limit is 256"},
		{many, "more than 2000 paths"},
	} {
		if got, err := ParsePaths(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: got %.40q, %v, want %q", test.text, got, err, test.want)
		}
	}
	if got, err := ParsePaths(strings.TrimSuffix(manyPaths(MaxColumns), ",")); err != nil || len(got) != MaxColumns {
		t.Errorf("as many as can be: got %d, %v", len(got), err)
	}
}

func manyPaths(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a.%d,", i)
	}
	return b.String()
}

func FuzzParsePaths(f *testing.F) {
	for _, text := range []string{"", "a", "a.b, c.0", ",", "a..b", ".", " ", "a,a", "\xff", "a\nb", "größe,\u00a0x", manyPaths(3), strings.Repeat("x", 300)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		paths, err := ParsePaths(text)
		if err != nil {
			return
		}
		if again, err := ParsePaths(strings.Join(paths, ",")); err != nil || !slices.Equal(again, paths) {
			t.Fatalf("%q: %q reads as %q, %v", text, paths, again, err)
		}
		seen := map[string]bool{}
		for _, path := range paths {
			if path == "" || len(path) > MaxPath || seen[path] || strings.ContainsRune(path, ',') {
				t.Fatalf("%q: path %q", text, path)
			}
			seen[path] = true
		}
		rows(t, newTable(paths), `{"a":[{"b":1}]}`, `{"a":{"0":{"b":{}}}}`)
	})
}

// rows writes records as a CSV of the given columns, or of those found.
func rows(t testing.TB, table *table, records ...string) string {
	t.Helper()
	for _, r := range records {
		if err := table.survey([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	l := table.layout()
	b := []byte(l.head)
	for _, r := range records {
		b = l.write(b, []byte(r))
	}
	return string(b)
}

func TestCellsAreWrittenAsTheyAre(t *testing.T) {
	for _, test := range []struct {
		name, paths string
		records     []string
		want        string
	}{
		{"in the order of their first appearance", "", []string{`{"b":1}`, `{"a":{"c":2,"b":3},"b":4}`}, "b,a.c,a.b\r\n1,,\r\n4,2,3\r\n"},
		{"numbers digit for digit", "", []string{`{"a":1.50,"b":1E+400,"c":-0,"d":12345678901234567890}`}, "a,b,c,d\r\n1.50,1E+400,-0,12345678901234567890\r\n"},
		{"truth and nothing", "", []string{`{"a":true,"b":false,"c":null}`}, "a,b,c\r\ntrue,false,\r\n"},
		{"lists by index", "a.1,a.0.b,a.2.0", []string{`{"a":[{"b":1},2,[3]]}`, `{"a":{"1":"by name"}}`}, "a.1,a.0.b,a.2.0\r\n2,1,3\r\nby name,,\r\n"},
		{"objects as JSON", "a,b", []string{`{"a":{"x": [1, "y"]},"b":[]}`}, "a,b\r\n\"{\"\"x\"\": [1, \"\"y\"\"]}\",[]\r\n"},
		{"quotes, commas, breaks, spaces", "", []string{`{"a":"\"","b":"x,y","c":"x\ny","d":"x\r\ny","e":" x","f":"x "}`},
			"a,b,c,d,e,f\r\n\"\"\"\",\"x,y\",\"x\ny\",\"x\r\ny\",\" x\",\"x \"\r\n"},
		{"escapes", "", []string{`{"\u00e4\"":"\ud83c\udf55\/\t","b":"\ud800"}`}, "\"ä\"\"\",b\r\n🍕/\t,\ufffd\r\n"},
		{"a name with a dot", "a.b.c", []string{`{"a.b":{"c":1}}`, `{"a":{"b.c":2}}`, `{"a.b.c":3}`, `{"a":{"b":{"c":4}}}`}, "a.b.c\r\n1\r\n2\r\n3\r\n4\r\n"},
		{"a name twice", "", []string{`{"a":1,"a":2}`}, "a\r\n2\r\n"},
		{"an empty name", "", []string{`{"":{"":1},"b":2}`}, ".,b\r\n1,2\r\n"},
		{"one column that is empty", "a", []string{`{}`, `{"a":""}`, `{"a":null}`}, "a\r\n\"\"\r\n\"\"\r\n\"\"\r\n"},
		{"no columns at all", "", []string{`{}`, `{"a":[]}`}, ""},
		{"a prefix of a name is no path", "a.b", []string{`{"a":{"bc":1},"ab":2}`}, "a.b\r\n\"\"\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			paths, err := ParsePaths(test.paths)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rows(t, newTable(paths), test.records...), test.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestACellIsNoFormulaOnRequest(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{`"=1+2"`, "'=1+2"}, {`"+cmd|' /C calc'!A0"`, "'+cmd|' /C calc'!A0"}, {`"@SUM(A1)"`, "'@SUM(A1)"}, {`"-2+3"`, "'-2+3"},
		{`"\t=1"`, "'\t=1"}, {`"\r=1"`, "\"'\r=1\""}, {`"\n=1"`, "\"'\n=1\""}, {`"＝1"`, "'＝1"}, {`"=\"a\""`, `"'=""a"""`},
		{`"-5"`, "-5"}, {`"+4.50e3"`, "+4.50e3"}, {`-5`, "-5"}, {`1e5`, "1e5"}, {`"-"`, "'-"}, {`"+Inf"`, "'+Inf"}, {`"+49 30 1"`, "'+49 30 1"},
		{`"a=b"`, "a=b"}, {`""`, ""}, {`true`, "true"}, {`["=1"]`, `"[""=1""]"`}, {`"'=1"`, "'=1"},
	} {
		table := newTable([]string{"=a", "b"})
		table.safe = true
		if got, want := rows(t, table, `{"=a":`+test.value+`}`), "'=a,b\r\n"+test.want+",\r\n"; got != want {
			t.Errorf("%s: got %q, want %q", test.value, got, want)
		}
		table.safe = false
		if got := rows(t, table, `{"=a":"=1"}`); got != "=a,b\r\n=1,\r\n" {
			t.Errorf("not asked for: got %q", got)
		}
	}
}

func TestColumnsBeyondTheLimitAreLeftOutAndCounted(t *testing.T) {
	var b strings.Builder
	for i := range MaxColumns + 3 {
		fmt.Fprintf(&b, `"c%d":%d,`, i, i)
	}
	record := "{" + strings.TrimSuffix(b.String(), ",") + "}"
	table := newTable(nil)
	text := rows(t, table, record, `{"`+strings.Repeat("x", MaxPath+1)+`":1}`, strings.Repeat(`{"a":`, 100)+`1`+strings.Repeat(`}`, 100))
	head, _, _ := strings.Cut(text, "\r\n")
	if len(table.columns) != MaxColumns || table.leftOut != 4 || table.firstOut != fmt.Sprintf("c%d", MaxColumns) || strings.Count(head, ",") != MaxColumns-1 {
		t.Errorf("%d columns, %d values left out, the first %s", len(table.columns), table.leftOut, table.firstOut)
	}
}

// TestEveryCSVReadsAsItsRecords reads it as another program does.
func TestEveryCSVReadsAsItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringN(1, 10, -1), 1, 5, rapid.ID).Draw(t, "names")
		var records, want [][]string
		for range rapid.IntRange(0, 5).Draw(t, "records") {
			values := rapid.SliceOfN(rapid.String(), len(names), len(names)).Draw(t, "values")
			records = append(records, values)
			var cells []string
			for _, v := range values {
				cells = append(cells, strings.ReplaceAll(v, "\r\n", "\n")) // as encoding/csv reads it
			}
			want = append(want, cells)
		}
		table := newTable(names)
		l := table.layout()
		text := []byte(l.head)
		for _, values := range records {
			object := map[string]string{}
			for i, v := range values {
				object[names[i]] = v
			}
			record, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			text = l.write(text, record)
		}
		got, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || len(got) == 0 {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(got[1:], want, cmp.Transformer("nil", func(l [][]string) [][]string { return append([][]string{}, l...) })); diff != "" {
			t.Fatalf("%q (-got +want):\n%s", text, diff)
		}
	})
}

func TestOnlyItsAttributeIsSet(t *testing.T) {
	const value = `{"id":1}`
	for _, test := range []struct{ object, want string }{
		{`{}`, `{"result_set":{"id":1}}`},
		{" { } \n", " {\"result_set\":{\"id\":1} } \n"},
		{`{"a": 1.50 , "b":[ ] }`, `{"a": 1.50 , "b":[ ],"result_set":{"id":1} }`},
		{`{"result_set":null,"a":"x"}`, `{"result_set":{"id":1},"a":"x"}`},
		{`{"a":1, "result_set" : {"id":7,"files":{"json":{}}} , "b":2}`, `{"a":1, "result_set" : {"id":1} , "b":2}`},
		{`{"result_set":1,"Result_Set":2,"result_\u0073et":"3"}`, `{"result_set":{"id":1},"Result_Set":{"id":1},"result_\u0073et":{"id":1}}`},
		{`{"b":{"result_set":5},"c":"\"result_set\":5"}`, `{"b":{"result_set":5},"c":"\"result_set\":5","result_set":{"id":1}}`},
		{`{"ä":"\u0000","n":12345678901234567890}`, `{"ä":"\u0000","n":12345678901234567890,"result_set":{"id":1}}`},
	} {
		got, err := setAttribute([]byte(test.object), resultSetAttribute, []byte(value))
		if err != nil || string(got) != test.want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", test.object, got, err, test.want)
		}
	}
	for _, bad := range []string{"", "[]", "1", `{"a"`, `{"a":1`, `{"a":}`, `{a:1}`} {
		if got, err := setAttribute([]byte(bad), resultSetAttribute, []byte(value)); err == nil {
			t.Errorf("%q became %s", bad, got)
		}
	}
}

func TestOnlyAScrapingJobHasAMark(t *testing.T) {
	for _, kind := range job.Kinds() {
		table, err := tableOf(job.Job{Kind: kind, Record: []byte(`{"csv_formula_safe":true,"notification_csv_fields":"a"}`)})
		if err != nil || table.mark != (kind == job.KindScraping) || !table.safe || table.discover {
			t.Errorf("%s: %+v, %v", kind, table, err)
		}
	}
}
