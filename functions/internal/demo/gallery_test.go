package demo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jobhook/jobhook/shared/webhook"
)

func TestReceiversOfTheGalleryAnswerAsTheirNamesSay(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("POST "+pathGallery+"{name}", &gallery{})
	for _, tt := range []struct {
		name, id string
		want     int
	}{
		{"reliable", "evt_1", 200},
		{"broken", "evt_1", 500},
		{"refuses-at-first", "evt_1", 503},
		{"refuses-at-first", "evt_2", 503},
		{"refuses-at-first", "evt_1", 200},
		{"refuses-at-first", "evt_2", 200},
	} {
		r := httptest.NewRequest("POST", pathGallery+tt.name, strings.NewReader("{}"))
		r.Header.Set(webhook.HeaderID, tt.id)
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != tt.want {
			t.Errorf("%s answers %s with %d, want %d", tt.name, tt.id, w.Code, tt.want)
		}
	}
}
