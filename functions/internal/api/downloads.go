package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/jobhook/jobhook/functions/internal/download"
	"github.com/jobhook/jobhook/shared/files"
	"github.com/jobhook/jobhook/shared/job"
	"github.com/jobhook/jobhook/shared/webhook"
)

// Local opens files that the API serves itself.
type Local interface {
	// OpenFile returns webhook.ErrNotFound when there is none.
	OpenFile(key string) (*os.File, files.Meta, error)
}

// downloadPath is where the links of result sets lead, see job.ResultSet.Links.
const downloadPath = "/d/{token}/{file}"

// addDownloads adds the route without huma: there is no key, and the answer is
// a redirect or a file.
func (a *API) addDownloads() {
	a.mux.HandleFunc("GET "+downloadPath, a.download)
	text := func(name, what string) *huma.Param {
		return &huma.Param{Name: name, In: "path", Required: true, Description: what, Schema: &huma.Schema{Type: "string"}}
	}
	operation := func(method string) *huma.Operation {
		schema := &huma.Response{Description: "Refused", Content: map[string]*huma.MediaType{contentProblem: {Schema: ref("Problem")}}}
		return &huma.Operation{OperationID: strings.ToLower(method) + "-file", Method: method, Path: downloadPath, Tags: []string{"Results"},
			Summary:     "Download a file of a result set",
			Description: "The link alone lets in whoever has it, until the set expires or is revoked. It answers with the file, or sends on to where it lies, for five minutes.",
			Parameters:  []*huma.Param{text("token", "From the link."), text("file", "The file's name.")},
			Responses: map[string]*huma.Response{
				"200": {Description: "The file"}, "206": {Description: "The part that Range asked for"},
				"302": {Description: "Where the file lies"},
				"404": schema, "410": schema, "416": schema,
			}}
	}
	a.huma.OpenAPI().AddOperation(operation(http.MethodGet))
	a.huma.OpenAPI().AddOperation(operation(http.MethodHead))
}

// download answers a link. Whoever has it needs no key, and whoever has not
// learns nothing: all unknown links look alike.
func (a *API) download(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	set, err := a.linked(r.Context(), r.PathValue("token"), r.PathValue("file"))
	if err == nil {
		err = a.serve(w, r, set, r.PathValue("file"))
	}
	if err != nil {
		a.problemOf(r.Context(), err).write(w)
	}
}

// linked finds the set of a link that works.
func (a *API) linked(ctx context.Context, token, file string) (webhook.ResultSet, error) {
	if a.Files == nil {
		return webhook.ResultSet{}, noFiles()
	}
	if _, _, ok := webhook.ParseResultSetToken(token); !ok {
		return webhook.ResultSet{}, webhook.ErrNotFound
	}
	set, err := a.Store.ResultSet(ctx, token)
	switch {
	case err != nil:
		return set, err
	case set.State != webhook.ResultSetExported || !hasFile(set, file):
		return set, webhook.ErrNotFound
	case over(set, a.Now()):
		return set, problem(http.StatusGone, "The link has expired or was revoked; ask whoever sent it for the results.")
	}
	return set, nil
}

// hasFile tells whether a name is that of one of the set's files. What looks
// like a page may also be a part of the job's id, as in Landing_Page_3.
func hasFile(s webhook.ResultSet, name string) bool {
	for _, page := range []int{0, pageIn(name)} {
		if page > s.Pages {
			continue
		}
		for _, format := range job.FileFormats() {
			if namesOf(s).FileName(s.Kind, s.JobID, format, page) == name {
				return true
			}
		}
	}
	return false
}

// pageIn is the page that the name of a file seems to say; 0 for none.
func pageIn(name string) int {
	_, after, _ := cutLast(name, "_Page_")
	end := strings.IndexAny(after, "_.")
	page, err := strconv.Atoi(after[:max(end, 0)])
	if err != nil || page < 0 {
		return 0
	}
	return page
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// serve sends the file, or sends on to it.
func (a *API) serve(w http.ResponseWriter, r *http.Request, s webhook.ResultSet, name string) error {
	key := files.ResultsFolder(s.Account, s.Kind, s.JobID, s.Run) + name
	o := files.LinkOptions{Method: r.Method, FileName: name, ContentType: files.ContentType(name)}
	link, err := a.Files.Link(r.Context(), key, o)
	if err != nil {
		return fmt.Errorf("link to file: %w", err)
	}
	if link != "" {
		a.noteDownload(r, s, name) // whatever part is asked for here, the link gives the whole
		w.Header().Set("Location", link)
		w.WriteHeader(http.StatusFound)
		return nil
	}
	return a.serveLocal(w, r, s, key, o)
}

func (a *API) serveLocal(w http.ResponseWriter, r *http.Request, s webhook.ResultSet, key string, o files.LinkOptions) error {
	if a.Local == nil {
		return errors.New("there is neither a link to the file nor a place to read it from")
	}
	file, _, err := a.Local.OpenFile(key)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", o.ContentType)
	w.Header().Set("Content-Disposition", files.Disposition(o.FileName))
	out := download.NewAnswer(w, func(status int) {
		if !download.Continues(status, r.Header.Get("Range")) {
			a.noteDownload(r, s, o.FileName)
		}
	})
	http.ServeContent(out, r, o.FileName, info.ModTime(), file)
	if status, means := out.Refused(); status != 0 {
		return problem(status, means)
	}
	return nil
}

// noteDownload counts a download. A count that fails is no reason to refuse the
// file.
func (a *API) noteDownload(r *http.Request, s webhook.ResultSet, name string) {
	err := a.Store.AddDownload(r.Context(), s.Token, webhook.Download{At: a.Now(), File: name, Method: r.Method})
	if err != nil {
		a.Log.WarnContext(r.Context(), "download.uncounted", "account", s.Account, "job", s.JobID, "run", s.Run, "error", err)
	}
}
