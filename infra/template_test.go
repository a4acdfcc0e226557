//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// deployment is what the templates of all stacks together make, decoded:
// resources by the names that the code gives them, without the CDK's hashes.
type deployment struct {
	Resources map[string]*resource
	Outputs   map[string]any
	Attached  bool // to a table of the platform's
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

type template struct {
	Resources map[string]*resource
	Outputs   map[string]struct {
		Value  any
		Export struct{ Name any }
	}
}

// deployed reads the templates of a folder. What one stack takes from another
// is put in its place, so that a check sees which resource is meant.
func deployed(t *testing.T, folder string) deployment {
	t.Helper()
	templates := readTemplates(t, folder)
	exports := map[string]any{}
	for _, tpl := range templates {
		for _, o := range tpl.Outputs {
			if name, ok := o.Export.Name.(string); ok {
				exports[name] = o.Value
			}
		}
	}
	d := deployment{Resources: map[string]*resource{}, Outputs: map[string]any{}}
	for _, tpl := range templates {
		d.add(t, tpl, exports)
	}
	return d
}

func (d deployment) add(t *testing.T, tpl template, exports map[string]any) {
	t.Helper()
	for id, r := range tpl.Resources {
		if d.Resources[plain(id)] != nil {
			t.Fatalf("two resources are called %s", plain(id))
		}
		r.Properties, _ = resolve(r.Properties, exports).(map[string]any)
		d.Resources[plain(id)] = r
	}
	for name, o := range tpl.Outputs {
		if o.Export.Name == nil {
			d.Outputs[name] = resolve(o.Value, exports)
		}
	}
}

func readTemplates(t *testing.T, folder string) (list []template) {
	t.Helper()
	for _, file := range templateFiles(t, folder) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tpl template
		if err := json.Unmarshal(b, &tpl); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, tpl)
	}
	return list
}

func templateFiles(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.template.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates in %s: %v", folder, err)
	}
	return files
}

// plain is a logical id without the hash at its end.
func plain(id string) string {
	return regexp.MustCompile(`[0-9A-F]{8}$`).ReplaceAllString(id, "")
}

// resolve turns what refers to a resource into text: ${Jobs} for a Ref,
// ${Jobs.Arn} for a GetAtt. Joins become one text.
func resolve(v any, exports map[string]any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = resolve(v[i], exports)
		}
		return list
	case map[string]any:
		if text, ok := intrinsic(v, exports); ok {
			return text
		}
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = resolve(v[key], exports)
		}
		return m
	}
	return v
}

func intrinsic(v map[string]any, exports map[string]any) (text any, ok bool) {
	if len(v) != 1 {
		return nil, false
	}
	if id, ok := v["Ref"].(string); ok {
		return "${" + plain(id) + "}", true
	}
	if a, ok := v["Fn::GetAtt"].([]any); ok {
		return fmt.Sprintf("${%s.%s}", plain(a[0].(string)), a[1]), true
	}
	if name, ok := v["Fn::ImportValue"].(string); ok {
		return resolve(exports[name], exports), true
	}
	if join, ok := v["Fn::Join"].([]any); ok {
		var parts []string
		for _, part := range resolve(join[1], exports).([]any) {
			parts = append(parts, fmt.Sprint(part))
		}
		return strings.Join(parts, join[0].(string)), true
	}
	return nil, false
}

// of returns the names of all resources of a type, in order.
func (d deployment) of(kind string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Resources)) {
		if d.Resources[name].Type == kind {
			names = append(names, name)
		}
	}
	return names
}

// at returns what stands at a path of a resource's properties, such as
// LoggingConfig.LogFormat; nil when nothing does. A number names a place in a list.
func (d deployment) at(name, path string) any {
	r := d.Resources[name]
	if r == nil {
		return nil
	}
	var v any = r.Properties
	for _, key := range strings.Split(path, ".") {
		v = child(v, key)
	}
	return v
}

func child(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[key]
	case []any:
		var i int
		if _, err := fmt.Sscan(key, &i); err == nil && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// number returns a number at a path; -1 for none.
func (d deployment) number(name, path string) float64 {
	if n, ok := d.at(name, path).(float64); ok {
		return n
	}
	return -1
}

// list returns what is a list or a single value as a list of texts.
func list(v any) (texts []string) {
	if v == nil {
		return nil
	}
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	for _, one := range all {
		texts = append(texts, fmt.Sprint(one))
	}
	return texts
}

// objects returns the members of a list that are objects.
func objects(v any) (list []map[string]any) {
	all, _ := v.([]any)
	for _, one := range all {
		if m, ok := one.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

// complaints gathers what a check finds.
type complaints []string

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// same complains when something is not what it must be; both as JSON.
func (c *complaints) same(what string, got, want any) {
	g, w := asJSON(got), asJSON(want)
	if g != w {
		c.add("%s is %s, want %s", what, g, w)
	}
}

// props holds the properties of a resource to what they must be.
func (c *complaints) props(d deployment, name string, want map[string]any) {
	for _, path := range slices.Sorted(maps.Keys(want)) {
		c.same(name+" "+path, d.at(name, path), want[path])
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
