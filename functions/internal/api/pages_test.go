package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPagesNeedNoScriptAndNothingOfAnotherHost(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{"/docs", "/problems", "/problems/invalid"} {
		got := s.do("", "GET", target, "")
		if got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: got %d %s", target, got.status, got.header.Get("Content-Type"))
		}
		for _, bad := range []string{"<script", "javascript:", " on", "src=", `href="http`, "<link", "<form", "@import", "url("} {
			if bad == " on" {
				if regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(got.body) {
					t.Errorf("%s has an event handler", target)
				}
				continue
			}
			if strings.Contains(got.body, bad) {
				t.Errorf("%s has %s", target, bad)
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		style := got.body[strings.Index(got.body, "<style>")+len("<style>") : strings.Index(got.body, "</style>")]
		sum := sha256.Sum256([]byte(style))
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
			strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %s", target, policy)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: content types may be guessed", target)
		}
	}
}

// TestNoAnswerIsGuessedAt: answers hold what platforms and receivers wrote.
func TestNoAnswerIsGuessedAt(t *testing.T) {
	s := newSite(t)
	for _, tt := range []struct {
		key, method, target string
		status              int
	}{
		{s.acme, "GET", "/v1/deliveries", 200}, {s.acme, "GET", "/v1/endpoints/ep_none", 404}, {"", "GET", "/v1/deliveries", 401},
		{s.acme, "DELETE", "/v1/deliveries", 405}, {"", "GET", "//", 404}, {"", "GET", "/openapi.json", 200}, {s.acme, "POST", "/v1/endpoints", 400},
	} {
		got := s.do(tt.key, tt.method, tt.target, "")
		if got.status != tt.status || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: got %d, %q; want %d, nosniff", tt.method, tt.target, got.status, got.header.Get("X-Content-Type-Options"), tt.status)
		}
	}
}

func TestTheDocsShowEveryOperation(t *testing.T) {
	s := newSite(t)
	page := s.do("", "GET", "/docs", "").body
	for _, d := range documentedRoutes() {
		if !strings.Contains(page, `<section id="`+d.id+`">`) || !strings.Contains(page, "<code>"+d.path+"</code>") {
			t.Errorf("%s is not shown", d.id)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
}

func TestEveryProblemThatTheSourceNamesIsInTheCatalogue(t *testing.T) {
	s := newSite(t)
	page := s.do("", "GET", "/problems", "").body
	used := append(problemsUsed(t), "answer-too-large") // lambdahost's
	if len(used) < 15 {
		t.Fatalf("only %q were found in the source", used)
	}
	for _, code := range used {
		if !strings.Contains(page, `<section id="`+code+`">`) {
			t.Errorf("/problems has no %q", code)
		}
		if got := s.do("", "GET", "/problems/"+code, ""); got.status != 200 || !strings.Contains(got.body, code) {
			t.Errorf("/problems/%s: %d", code, got.status)
		}
	}
}

// problemsUsed finds the codes of problems in the package's source: what is
// given to conflict, refuse or as, and the status given to problem.
func problemsUsed(t *testing.T) []string {
	t.Helper()
	//lint:ignore SA1019 the package needs no types
	packages, err := parser.ParseDir(token.NewFileSet(), ".", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for name, file := range packages["api"].Files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 {
				codes = append(codes, codeOf(call)...)
			}
			return true
		})
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func codeOf(call *ast.CallExpr) []string {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	switch arg := call.Args[0].(type) {
	case *ast.BasicLit:
		if name == "as" || name == "conflict" {
			code, _ := strconv.Unquote(arg.Value)
			return []string{code}
		}
	case *ast.SelectorExpr:
		// A conflict always gets a code of its own.
		if word, ok := strings.CutPrefix(arg.Sel.Name, "Status"); ok && name == "problem" && word != "Conflict" {
			return []string{codeOfStatus(word)}
		}
	}
	return nil
}

// codeOfStatus is the code of a problem with net/http's word for its status.
func codeOfStatus(word string) string {
	switch word {
	case "BadRequest":
		return "malformed"
	case "RequestEntityTooLarge":
		return "too-large"
	case "UnprocessableEntity":
		return "invalid"
	case "InternalServerError":
		return "internal"
	case "PreconditionFailed":
		return "precondition"
	}
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(word, "$1-$2"))
}
