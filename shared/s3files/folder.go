package s3files

import (
	"context"
	"slices"

	"github.com/jobhook/jobhook/shared/files"
)

// Folder is the files whose keys begin with a prefix, read whole.
type Folder struct {
	files  *Files
	prefix string
	most   int64
}

// Folder returns the files of a prefix, such as "aws/lambda/"; empty is the
// whole bucket. Files of more than most bytes are not read.
func (f *Files) Folder(prefix string, most int64) Folder {
	return Folder{files: f, prefix: prefix, most: most}
}

// List returns the keys of up to limit files: the first in the order of keys,
// and of those the oldest first.
func (f Folder) List(ctx context.Context, limit int) ([]string, error) {
	list, err := f.files.List(ctx, f.prefix, limit)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b files.Info) int { return a.Modified.Compare(b.Modified) })
	keys := make([]string, len(list))
	for i, info := range list {
		keys[i] = info.Key
	}
	return keys, nil
}

// Read returns a file by its whole key, as Files.Read does.
func (f Folder) Read(ctx context.Context, key string) ([]byte, error) {
	return f.files.Read(ctx, key, f.most)
}

// Remove deletes a file by its whole key. That there is none is no error.
func (f Folder) Remove(ctx context.Context, key string) error { return f.files.Remove(ctx, key) }
