package sweep

import "context"

// Erasures goes on with erasures of accounts and subjects.
type Erasures interface {
	// Run goes on with those that are running, as far as one run may take.
	Run(ctx context.Context) error
}

// erase goes on with erasures. What they are about is nothing that other parts
// wait for.
func (h *Handler) erase(ctx context.Context, _ *run) error {
	if h.Erasures == nil {
		return nil
	}
	return h.Erasures.Run(ctx)
}
