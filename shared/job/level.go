package job

import (
	"fmt"
	"slices"
	"strings"
)

// Level is the severity of a progress event of a pipeline.
type Level string

// The levels, from least to most severe.
const (
	LevelTrace    Level = "trace"
	LevelDebug    Level = "debug"
	LevelInfo     Level = "info"
	LevelWarn     Level = "warn"
	LevelError    Level = "error"
	LevelCritical Level = "critical"
)

// Levels returns all levels from least to most severe.
func Levels() []Level {
	return []Level{LevelTrace, LevelDebug, LevelInfo, LevelWarn, LevelError, LevelCritical}
}

// Valid tells whether the level is one of Levels.
func (l Level) Valid() bool { return slices.Contains(Levels(), l) }

// Passes tells whether an event of this level is sent to a client who asked
// for the given verbosity: it must be at least as severe. An empty verbosity
// is info, HKube's default; an unknown level never passes.
func (l Level) Passes(verbosity Level) bool {
	if verbosity == "" {
		verbosity = LevelInfo
	}
	all := Levels()
	have, want := slices.Index(all, l), slices.Index(all, verbosity)
	return have >= 0 && want >= 0 && have >= want
}

func levelError(field string, l Level) error {
	var names []string
	for _, known := range Levels() {
		names = append(names, string(known))
	}
	return &FieldError{Field: field, Problem: fmt.Sprintf("%.40q is no level", l), Cure: "use one of " + strings.Join(names, ", ")}
}
