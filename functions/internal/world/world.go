// Package world reads the fixtures in events/: whole Lambda payloads, and the
// accounts and endpoints that they speak of.
package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jobhook/jobhook/shared/webhook"
)

// Store is where accounts and endpoints go.
type Store interface {
	PutAccount(ctx context.Context, a webhook.Account) error
	PutEndpoint(ctx context.Context, e webhook.Endpoint) error
}

// file is the form of world.json.
type file struct {
	Accounts []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"accounts"`
	Endpoints []struct {
		ID      string              `json:"id"`
		Account string              `json:"account"`
		URL     string              `json:"url"`
		Format  string              `json:"format"`
		Default bool                `json:"default"`
		Types   []webhook.EventType `json:"types"`
		Secret  webhook.Secret      `json:"secret"`
	} `json:"endpoints"`
}

// Apply stores the accounts and endpoints of world.json in the folder.
func Apply(ctx context.Context, folder string, store Store, now time.Time) error {
	var f file
	raw, err := os.ReadFile(filepath.Join(folder, "world.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return fmt.Errorf("world.json: %w", err)
	}
	for _, a := range f.Accounts {
		if err := store.PutAccount(ctx, webhook.Account{ID: a.ID, Name: a.Name, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
	}
	for _, e := range f.Endpoints {
		ep := webhook.Endpoint{
			ID: e.ID, Account: e.Account, URL: e.URL, Format: e.Format, Default: e.Default, Types: e.Types,
			Status: webhook.EndpointEnabled, CreatedAt: now, UpdatedAt: now,
		}
		if e.Secret != "" {
			ep.Secrets = []webhook.Secret{e.Secret}
		}
		if err := store.PutEndpoint(ctx, ep); err != nil {
			return err
		}
	}
	return nil
}

// Payload reads a fixture by its name, such as "dispatch-async-finished".
func Payload(folder, name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil {
		return nil, fmt.Errorf("fixture %s: %w; there are: %v", name, err, Names(folder, ""))
	}
	return raw, nil
}

// Names lists the fixtures of a function, or of all with "".
func Names(folder, function string) []string {
	if function != "" {
		function += "-"
	}
	paths, _ := filepath.Glob(filepath.Join(folder, function+"*.json")) // the pattern is well formed
	var names []string
	for _, p := range paths {
		if name := filepath.Base(p); name != "world.json" {
			names = append(names, name[:len(name)-len(".json")])
		}
	}
	return names
}
