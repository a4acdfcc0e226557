package dashboard

import "testing"

func TestOnlyFilesOfThisServerAreLinks(t *testing.T) {
	d := &Dashboard{Config: Config{PublicURL: "https://jobhook.example/"}}
	for address, want := range map[string]string{
		"https://jobhook.example/d/token/Results_1.csv": "/d/token/Results_1.csv",
		"/d/token/Results_1.csv":                        "/d/token/Results_1.csv",
		"https://jobhook.example/d/a%2Fb/c":             "/d/a%2Fb/c",
		"https://jobhook.example/d/t/c?x=1#y":           "/d/t/c",
		"https://jobhook.example.evil/d/token/x":        "",
		"https://evil.example/d/token/x":                "",
		"https://jobhook.example/d/../settings":         "",
		"https://jobhook.example/settings":              "",
		"//evil.example/d/x":                            "",
		"/d//evil":                                      "",
		"javascript:alert(1)":                           "",
		"/d/\x00":                                       "",
		"":                                              "",
	} {
		got, ok := d.filePath(address)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", address, got, ok, want)
		}
	}
}
