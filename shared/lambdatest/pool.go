package lambdatest

import (
	"context"
	"errors"
)

// Pool is some execution environments of one function, as many as events are
// handled at once.
type Pool struct {
	all  []*Function
	free chan *Function
}

// StartPool starts n environments.
func StartPool(ctx context.Context, o Options, n int) (*Pool, error) {
	p := &Pool{free: make(chan *Function, n)}
	for range n {
		f, err := Start(ctx, o)
		if err != nil {
			return nil, errors.Join(err, p.Stop())
		}
		p.all = append(p.all, f)
		p.free <- f
	}
	return p, nil
}

// Invoke hands an event to an environment that is free, and waits for one if
// need be. An environment whose process ended stays in the pool and fails.
func (p *Pool) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	select {
	case f := <-p.free:
		defer func() { p.free <- f }()
		return f.Invoke(ctx, payload)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Lines are what all environments printed, one environment after the other.
func (p *Pool) Lines() []string {
	var all []string
	for _, f := range p.all {
		all = append(all, f.Lines()...)
	}
	return all
}

// Stop ends all environments.
func (p *Pool) Stop() error {
	var errs []error
	for _, f := range p.all {
		errs = append(errs, f.Stop())
	}
	return errors.Join(errs...)
}
