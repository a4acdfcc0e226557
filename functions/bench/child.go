package main

import (
	"context"
	"path/filepath"

	"github.com/jobhook/jobhook/functions/internal/child"
)

// build makes the binary that is measured, and returns its path.
func build(ctx context.Context, o options) (string, error) {
	if o.binary != "" {
		return o.binary, nil
	}
	path := filepath.Join("build", "bench-standalone")
	return path, child.Build(ctx, path)
}

// prepare writes the accounts of a plan, each with one endpoint.
func prepare(ctx context.Context, c *child.Child, p plan, urls []string) error {
	for i, url := range urls {
		name := accountName(i)
		if _, err := c.Call(ctx, "PUT", "/v1/accounts/"+name, map[string]any{"name": name}); err != nil {
			return err
		}
		endpoint := map[string]any{"url": url, "format": "standard", "policy": p.policy()}
		if _, err := c.Call(ctx, "POST", "/v1/endpoints?account="+name, endpoint); err != nil {
			return err
		}
	}
	return nil
}
