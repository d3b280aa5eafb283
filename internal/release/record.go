package release

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/flow"
	"github.com/sello-release/sello/internal/gate"
)

// Entry is one line of the project's history on this machine: a verb that was done.
type Entry struct {
	Time    time.Time         `json:"time"`
	Verb    string            `json:"verb"`
	Version string            `json:"version"`
	Commit  string            `json:"commit"`
	Stage   string            `json:"stage,omitempty"`
	User    string            `json:"user,omitempty"`
	Host    string            `json:"host,omitempty"`
	Attrs   map[string]string `json:"attrs,omitempty"`
	Images  []ImageRef        `json:"images,omitempty"`
}

// Detail gives the attributes as text.
func (e Entry) Detail() string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(e.Attrs)) {
		out = append(out, k+"="+e.Attrs[k])
	}
	return strings.Join(out, " ")
}

// step runs one part of a verb, with events around it.
func (p *Project) step(name string, do func() error) error {
	start := time.Now()
	p.Events.Event(flow.Event{Time: start, Step: name, Kind: flow.Started})
	err := do()
	e := flow.Event{Time: time.Now(), Step: name, Kind: flow.Finished, Duration: time.Since(start)}
	if err != nil {
		e.Kind, e.Err = flow.Failed, p.Filter.Error(err)
	}
	p.Events.Event(e)
	return err
}

// step is one thing that a verb does, in order. What has nothing to do is skipped without a word.
type step struct {
	name string
	do   func() error
	skip bool
}

// steps does one thing after the other, and stops at the first that fails.
func (p *Project) steps(all ...step) error {
	for _, s := range all {
		if s.skip {
			continue
		}
		if err := p.step(s.name, s.do); err != nil {
			return err
		}
	}
	return nil
}

// record appends to the project's history. A verb that cannot be recorded has not succeeded.
func (p *Project) record(verb string, c *Candidate, s *staged, attrs map[string]string) error {
	return p.append(Entry{Verb: verb, Version: c.Release.Version, Commit: c.Commit.ID, Stage: s.digestName(), Attrs: attrs, Images: imageRefs(s.list)})
}

// append adds to the history what was done now and here.
func (p *Project) append(e Entry) error {
	dir, err := p.State()
	if err != nil {
		return err
	}
	e.Time, e.User = p.Now().UTC(), userName()
	e.Host, _ = os.Hostname()
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode history: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "history.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return f.Sync()
}

// History gives what was done in this checkout, oldest first. A torn last line, left by a killed process, is passed over.
func (p *Project) History() ([]Entry, error) {
	dir, err := p.State()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(dir, "history.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	var out []Entry
	in := bufio.NewScanner(f)
	for in.Scan() {
		var e Entry
		if json.Unmarshal(in.Bytes(), &e) == nil {
			out = append(out, e)
		}
	}
	return out, in.Err()
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func usageRefusal(code, where, what, fix string) error {
	return &gate.Refusal{Code: code, Class: gate.Usage, Where: where, What: what, Fix: fix}
}
