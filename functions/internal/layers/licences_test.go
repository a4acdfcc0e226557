package layers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// licence is one that asks for no more than to be passed on with the code.
type licence struct {
	name  string
	words []string // that stand in its text, and in no other of these together
}

// permissive are the licences under which we ship the code of others.
func permissive() []licence {
	return []licence{
		{"Apache-2.0", []string{"Apache License Version 2.0, January 2004", "Grant of Patent License"}},
		{"MIT", []string{"Permission is hereby granted, free of charge, to any person obtaining a copy", "publish, distribute, sublicense, and/or sell"}},
		{"BSD", []string{"Redistribution and use in source and binary forms, with or without modification, are permitted", "Redistributions in binary form must reproduce the above copyright"}},
		{"ISC", []string{"Permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"}},
	}
}

// TestWhatTheFunctionsLinkIsPermissivelyLicensed reads the licence of every
// module that a binary of ours has code of.
func TestWhatTheFunctionsLinkIsPermissivelyLicensed(t *testing.T) {
	linked := linkedModules(t)
	if len(linked) < 10 {
		t.Fatalf("%d modules: the list is not whole", len(linked))
	}
	for module, folder := range linked {
		text, err := licenceText(folder)
		if err != nil {
			t.Errorf("%s: %v", module, err)
			continue
		}
		if licenceOf(text) == "" {
			t.Errorf("%s: its licence is not one of those that we ship; use another module, or add the licence here if it asks for nothing more than its text:\n%.300s", module, text)
		}
	}
}

func TestLicencesThatAskForMoreAreFound(t *testing.T) {
	for _, text := range []string{
		"GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007",
		"GNU AFFERO GENERAL PUBLIC LICENSE Version 3. Apache License Version 2.0, January 2004",
		"Mozilla Public License Version 2.0",
		"Business Source License 1.1",
		"Permission is hereby granted, free of charge, to whom we like",
		"Apache License Version 2.0, January 2004; Grant of Patent License; “Commons Clause” License Condition v1.0",
		"",
	} {
		if name := licenceOf(text); name != "" {
			t.Errorf("%q is taken for %s", text, name)
		}
	}
}

// licenceOf names the licence of a text; "" if it is none that we ship.
func licenceOf(text string) string {
	for _, restriction := range []string{"GENERAL PUBLIC LICENSE", "Mozilla Public License", "Commons Clause", "Server Side Public License", "Business Source License"} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(restriction)) {
			return ""
		}
	}
	for _, l := range permissive() {
		all := true
		for _, w := range l.words {
			all = all && strings.Contains(text, w)
		}
		if all {
			return l.name
		}
	}
	return ""
}

// licenceText returns the licence of a module as one line.
func licenceText(folder string) (string, error) {
	var err error
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"} {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(folder, name)); err == nil {
			return strings.Join(strings.Fields(strings.ReplaceAll(string(b), "//", " ")), " "), nil
		}
	}
	return "", err
}

// linkedModules returns the modules of others in our binaries, with their folders.
func linkedModules(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}{{.Path}}{{"\t"}}{{.Dir}}{{end}}{{end}}`, module+"functions/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := map[string]string{}
	for line := range bytes.Lines(out) {
		if path, folder, found := strings.Cut(strings.TrimSpace(string(line)), "\t"); found {
			linked[path] = folder
		}
	}
	return linked
}
