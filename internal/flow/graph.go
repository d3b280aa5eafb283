package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"unicode"
)

// Graph is a set of steps and what they need. It is run once.
type Graph struct {
	nodes []*node
	names map[string]bool
	ran   atomic.Bool
}

// New gives an empty graph.
func New() *Graph { return &Graph{names: map[string]bool{}} }

// Step is one node of a graph, with a result of type T.
type Step[T any] struct {
	// Name is a path like build/age/linux/amd64: unique in the graph.
	Name string
	// Needs are done before the step's key is computed and the step runs.
	Needs []Node
	// Key gives the digest, or any exact description, of the step's own
	// configuration. It is called after what the step needs is done, so it may
	// read their values. nil: the step is never cached.
	Key func() (string, error)
	// Run does the work. Its effects must be harmless when repeated, and durable when it returns.
	Run func(ctx context.Context, r *Run) (T, error)
	// Valid says whether a result of an earlier run still holds: the files that it
	// names have their digests. nil: it always does. An error makes the step run again.
	Valid func(T) error
	// Group is a class of steps that Options.Limits limits, "" for none.
	Group string
	// Retries is how many more times a step that failed is tried.
	Retries int
}

// Node is a task of any type, as something that a step needs.
type Node interface {
	Name() string
	node() *node
}

// Needs makes a list of nodes.
func Needs(nodes ...Node) []Node { return nodes }

// Task is a step in a graph, with the result that it will have.
type Task[T any] struct {
	n     *node
	value atomic.Pointer[T]
}

// Name is the step's name.
func (t *Task[T]) Name() string { return t.n.name }

func (t *Task[T]) node() *node { return t.n }

// Value is the step's result. It panics before the step is done: only steps that
// need it, and whoever ran the graph to its end, may ask.
func (t *Task[T]) Value() T {
	v := t.value.Load()
	if v == nil {
		panic(fmt.Sprintf("flow: value of step %q was read before it was done: is it missing in Needs?", t.n.name))
	}
	return *v
}

// node is a step without its type.
type node struct {
	index   int
	name    string
	needs   []*node
	group   string
	retries int
	config  func() (string, error)                                     // nil: never cached
	exec    func(ctx context.Context, r *Run) (json.RawMessage, error) // runs the step once
	load    func(recorded json.RawMessage) error                       // takes over a recorded result, if it still holds

	// Written by the goroutine that ran the step, read after it ended.
	key    string
	result json.RawMessage
}

// Add puts a step into the graph. It panics where the program is wrong: a name that is taken or
// malformed, a need of another graph, a type that JSON would change.
func Add[T any](g *Graph, s Step[T]) *Task[T] {
	if why := badStepName(s.Name); why != "" {
		panic(fmt.Sprintf("flow: step %q: %s", s.Name, why))
	}
	if g.names[s.Name] {
		panic(fmt.Sprintf("flow: there are two steps %q", s.Name))
	}
	if s.Run == nil {
		panic(fmt.Sprintf("flow: step %q has no Run", s.Name))
	}
	if why := lossy(reflect.TypeFor[T](), map[reflect.Type]bool{}); why != "" {
		panic(fmt.Sprintf("flow: step %q: its result would not survive the journal: %s", s.Name, why))
	}
	t := &Task[T]{n: &node{index: len(g.nodes), name: s.Name, group: s.Group, retries: s.Retries, config: s.Key}}
	for _, need := range s.Needs {
		n := need.node()
		if n.index >= len(g.nodes) || g.nodes[n.index] != n {
			panic(fmt.Sprintf("flow: step %q needs %q of another graph", s.Name, n.name))
		}
		t.n.needs = append(t.n.needs, n)
	}
	t.n.exec = func(ctx context.Context, r *Run) (json.RawMessage, error) {
		v, err := s.Run(ctx, r)
		if err != nil {
			return nil, err
		}
		return t.keep(v)
	}
	t.n.load = func(recorded json.RawMessage) error {
		v := new(T)
		if err := json.Unmarshal(recorded, v); err != nil {
			return err
		}
		if s.Valid != nil {
			if err := s.Valid(*v); err != nil {
				return err
			}
		}
		t.value.Store(v)
		return nil
	}
	g.names[s.Name] = true
	g.nodes = append(g.nodes, t.n)
	return t
}

// keep encodes v and takes what comes back as the value, after making sure that it encodes to the same bytes.
func (t *Task[T]) keep(v T) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	if len(data) > maxResult {
		return nil, fmt.Errorf("encode result: %d bytes are more than the %d that a journal keeps; write them to a file", len(data), maxResult)
	}
	back := new(T)
	if err := json.Unmarshal(data, back); err != nil {
		return nil, fmt.Errorf("decode result: %w", err)
	}
	again, err := json.Marshal(*back)
	if err != nil || string(again) != string(data) {
		return nil, fmt.Errorf("result changes on its way through the journal: %s becomes %s", clip(string(data)), clip(string(again)))
	}
	t.value.Store(back)
	return data, nil
}

func badStepName(name string) string {
	for _, e := range strings.Split(name, "/") {
		if e == "" || e == "." || e == ".." {
			return "a name is a path without empty, . or .. parts"
		}
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == '\\' || r == '\ufffd' {
			return "a name has no control characters and no backslash"
		}
	}
	return ""
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
