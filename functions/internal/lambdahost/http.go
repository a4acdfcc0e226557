package lambdahost

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// maxAnswer is the longest answer that Lambda takes, in bytes, as JSON.
const maxAnswer = 6 << 20

// defaultStage is the one stage of an HTTP API whose name is not in the path.
const defaultStage = "$default"

// HTTP returns a handler for the events of an HTTP API, payload format 2.0:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
//
// An HTTP API decodes the path before it hands it on, so that the slash of an
// id, sent as %2F, looks like one that separates. The routes whose parameters
// may hold slashes are therefore given as patterns, such as "/v1/jobs/{id}", the
// most specific first; the path of such a route is encoded again. Two things
// are lost before they reach us: an HTTP API decodes twice, so that a percent
// sign in an id must be sent as %2525, and it cuts the path at a question mark,
// which must be sent as %253F.
//
// The adapter of aws-lambda-go-api-proxy is not used since it takes that path
// for an encoded one, breaks header values apart at commas, and answers more
// than Lambda takes.
func HTTP(handler http.Handler, patterns ...string) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	routes := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		routes[i] = routeOf(p)
	}
	return func(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		request, err := requestOf(ctx, e, routes)
		if err != nil {
			return refusal(http.StatusBadRequest, "malformed", "The request cannot be read."), nil
		}
		w := &answer{header: http.Header{}}
		handler.ServeHTTP(w, request)
		return w.event(request.Method), nil
	}
}

// routeOf turns "/v1/jobs/{id}" into an expression whose groups are the
// parameters.
func routeOf(pattern string) *regexp.Regexp {
	parts := strings.FieldsFunc(pattern, func(r rune) bool { return r == '{' || r == '}' })
	for i := range parts {
		if i%2 == 1 {
			parts[i] = "(.+)"
		} else {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
	}
	return regexp.MustCompile("^" + strings.Join(parts, "") + "$")
}

func requestOf(ctx context.Context, e events.APIGatewayV2HTTPRequest, routes []*regexp.Regexp) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	path := withoutStage(e.RawPath, e.RequestContext.Stage)
	request.URL = &url.URL{Path: path, RawPath: encode(path, routes), RawQuery: e.RawQueryString}
	for name, value := range e.Headers {
		request.Header.Set(name, value) // several values are joined by commas already
	}
	if len(e.Cookies) > 0 {
		request.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	request.Host = request.Header.Get("Host") // a server keeps it out of the header
	request.Header.Del("Host")
	request.RemoteAddr = e.RequestContext.HTTP.SourceIP
	request.RequestURI = request.URL.RequestURI()
	return request, nil
}

// withoutStage removes the name of the stage, which begins the path of every
// stage but the default one.
func withoutStage(path, stage string) string {
	if stage == "" || stage == defaultStage {
		return path
	}
	if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return path
}

// encode returns the path as its sender encoded it, as far as one can tell.
func encode(path string, routes []*regexp.Regexp) string {
	for _, route := range routes {
		groups := route.FindStringSubmatchIndex(path)
		if groups == nil {
			continue
		}
		var b strings.Builder
		end := 0
		for i := 2; i < len(groups); i += 2 {
			b.WriteString(path[end:groups[i]])
			b.WriteString(url.PathEscape(path[groups[i]:groups[i+1]]))
			end = groups[i+1]
		}
		return b.String() + path[end:]
	}
	return ""
}

// answer gathers what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the header to be sent.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader takes the status; the first one counts, as on a connection.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

// Write takes a part of the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) event(method string) events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)
	r := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: make(map[string]string, len(a.header)+1), Cookies: a.header.Values("Set-Cookie")}
	if body := a.body.Bytes(); len(body) > 0 {
		if a.header.Get("Content-Type") == "" {
			a.header.Set("Content-Type", http.DetectContentType(body))
		}
		switch {
		case method == http.MethodHead: // its answer has none
		case utf8.Valid(body):
			r.Body = string(body)
		default:
			r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
		}
	}
	for name, values := range a.header {
		if name != "Set-Cookie" {
			r.Headers[name] = strings.Join(values, ", ")
		}
	}
	if tooLong(r) {
		return refusal(http.StatusRequestEntityTooLarge, "answer-too-large", "The answer is longer than 6 MB, which is more than can be sent. Ask for less, such as by a smaller limit.")
	}
	return r
}

// tooLong tells whether Lambda would refuse the answer. JSON may write one byte
// as six.
func tooLong(r events.APIGatewayV2HTTPResponse) bool {
	if len(r.Body) < maxAnswer/8 {
		return false
	}
	var n counter
	encoder := json.NewEncoder(&n)
	encoder.SetEscapeHTML(false) // as the runtime writes it
	return encoder.Encode(r) != nil || n > maxAnswer
}

// counter counts what is written to it.
type counter int

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// refusal is an RFC 9457 problem of the host's own, in the form of the API's.
func refusal(status int, code, detail string) events.APIGatewayV2HTTPResponse {
	body, _ := json.Marshal(map[string]any{"type": "/problems/" + code, "title": http.StatusText(status), "status": status, "detail": detail})
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status, Body: string(body),
		Headers: map[string]string{"Content-Type": "application/problem+json"},
	}
}
