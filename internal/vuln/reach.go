package vuln

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/vuln/scan"

	"github.com/sello-release/sello/internal/osv"
)

// reach finds out how far the vulnerable code of each match reaches into the Go programs that it is in. Only records that
// name packages or symbols can be told apart; for others it stays unknown, and so it does where something else than these
// programs holds the package.
func reach(ctx context.Context, targets []Target, all []*match, r *Report, symbols symbolReader) error {
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return err
		}
		var here []*match
		for _, m := range all {
			if slices.Contains(m.targets, t.Name) {
				here = append(here, m)
			}
		}
		if t.program == "" {
			for _, m := range here {
				m.look(t, targets)
			}
			continue
		}
		here = slices.DeleteFunc(here, func(m *match) bool {
			return m.pkg.Ecosystem != "Go" || !names(m.judgement.Matched) || strings.Contains(m.record.ID, ":")
		})
		if len(here) == 0 {
			continue
		}
		for _, round := range rounds(here) {
			found, err := govulncheck(ctx, t.program, round, symbols)
			if err != nil {
				r.Notes = append(r.Notes, fmt.Sprintf("%s: its symbols cannot be read, so that it is not known what is called: %.200s", t.Name, err))
			}
			for _, m := range round {
				m.take(found, m.elsewhere(t))
			}
		}
	}
	for _, m := range all {
		if m.blind && m.reach != Called {
			m.reach = Unknown
		}
	}
	return nil
}

// rounds parts matches so that no two records of a part have one id, which is all that the scan knows them by.
func rounds(all []*match) (out [][]*match) {
	for _, m := range all {
		i := slices.IndexFunc(out, func(round []*match) bool {
			return !slices.ContainsFunc(round, func(o *match) bool { return o.record != m.record && o.record.ID == m.record.ID })
		})
		if i < 0 {
			i = len(out)
			out = append(out, nil)
		}
		out[i] = append(out[i], m)
	}
	return out
}

// elsewhere holds when all that is vulnerable is so on other systems than the one that the program was built for.
func (m *match) elsewhere(t Target) bool {
	if t.goos == "" || t.goarch == "" {
		return false
	}
	for _, a := range m.judgement.Matched {
		here := func(i osv.Import) bool {
			return (len(i.GOOS) == 0 || slices.Contains(i.GOOS, t.goos)) && (len(i.GOARCH) == 0 || slices.Contains(i.GOARCH, t.goarch))
		}
		if len(a.Ecosystem.Imports) == 0 || slices.ContainsFunc(a.Ecosystem.Imports, here) {
			return false
		}
	}
	return true
}

// take takes what one program says; the nearest of several counts, and a program that says nothing leaves it unknown, unless
// it is about other systems.
func (m *match) take(found map[string]sighting, elsewhere bool) {
	s, ok := found[m.record.ID]
	if !ok && elsewhere {
		s, ok = sighting{reach: Required}, true
	}
	if !ok {
		m.blind = true
		return
	}
	if m.reach == Unknown || nearer(s.reach, m.reach) {
		m.reach = s.reach
	}
	m.symbols = append(m.symbols, s.symbols...)
}

// look takes what a document says. It adds nothing where every program that it says to hold the package is among the targets
// and has it. What its sources name, and no program in them, counts by the programs that were built from them: what none of
// those links is required, and no more.
func (m *match) look(doc Target, targets []Target) {
	held := doc.holding(m.pkg)
	for sum := range held.digests {
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.program != "" && t.SHA256 == sum && t.has(m.pkg) }) {
			m.blind = true
			return
		}
	}
	switch {
	case held.loose, held.sources && (m.pkg.Ecosystem != "Go" || !builtFrom(doc, targets)):
		m.blind = true
	case held.sources && m.reach == Unknown && !slices.ContainsFunc(targets, func(t Target) bool { return t.program != "" && t.has(m.pkg) }):
		m.reach = Required
	}
}

// builtFrom holds when a program among the targets is of a module that a document of sources names.
func builtFrom(doc Target, targets []Target) bool {
	return slices.ContainsFunc(targets, func(t Target) bool {
		return t.program != "" && t.main != "" && slices.ContainsFunc(doc.Packages, func(p osv.Package) bool { return p.Ecosystem == "Go" && p.Name == t.main })
	})
}

// has holds when a target has the package in that version.
func (t Target) has(p osv.Package) bool {
	return slices.ContainsFunc(t.Packages, func(q osv.Package) bool { return q.Name == p.Name && q.Version == p.Version })
}

// names holds when an affected package says which of its packages or symbols are. One that names symbols of no package says
// nothing that can be looked for.
func names(affected []osv.Affected) bool {
	some := false
	for _, a := range affected {
		some = some || len(a.Ecosystem.Imports) > 0
		if slices.ContainsFunc(a.Ecosystem.Imports, func(i osv.Import) bool { return i.Path == "" }) {
			return false
		}
	}
	return some
}

// sighting is what a program says about a record.
type sighting struct {
	reach   Reach
	symbols []string
}

// errStripped says that a program has no symbol table. The scan would then take every vulnerable symbol of its modules for
// called; here it is said that it is not known.
var errStripped = errors.New("the program was stripped of its symbol table (linked with -s)")

// symbolReader is Options.Symbols.
type symbolReader = func(ctx context.Context, program string) ([]byte, error)

// WriteSymbols writes what govulncheck extracts from a Go program: its modules and symbols. It panics on some programs that
// were made for it; run it in a process of its own.
func WriteSymbols(ctx context.Context, w io.Writer, program string) error {
	extracted, err := run(ctx, "-mode", "extract", program)
	if err != nil {
		return err
	}
	_, err = w.Write(extracted)
	return err
}

// govulncheck runs the Go project's scan over a program's symbols, with the records as its database.
func govulncheck(ctx context.Context, program string, here []*match, symbols symbolReader) (map[string]sighting, error) {
	if symbols == nil {
		return nil, errors.New("reading symbols was not asked for")
	}
	dir, err := os.MkdirTemp("", "sello-vuln-")
	if err != nil {
		return nil, fmt.Errorf("make folder for records: %w", err)
	}
	defer os.RemoveAll(dir)
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("find folder for records: %w", err)
	}
	extracted, err := symbols(ctx, program)
	if err != nil {
		return nil, err
	}
	if !hasSymbols(extracted) {
		return nil, errStripped
	}
	blob, db := filepath.Join(dir, "program"), filepath.Join(dir, "db")
	if err := os.WriteFile(blob, extracted, 0o600); err != nil {
		return nil, fmt.Errorf("write symbols: %w", err)
	}
	if err := os.Mkdir(db, 0o700); err != nil {
		return nil, fmt.Errorf("make folder for records: %w", err)
	}
	for _, m := range here {
		if err := os.WriteFile(filepath.Join(db, m.record.ID+".json"), m.record.Raw(), 0o600); err != nil {
			return nil, fmt.Errorf("write record: %w", err)
		}
	}
	out, err := run(ctx, "-mode", "binary", "-format", "json", "-db", fileURL(db), blob)
	if err != nil {
		return nil, err
	}
	return sightings(bytes.NewReader(out))
}

// run runs a command of govulncheck in this process and gives what it writes.
func run(ctx context.Context, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := scan.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(nil), &out, &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("scan program: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("scan program: %w %s", err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}

// hasSymbols looks into the two values that govulncheck extracts from a program: a header, and modules with symbols.
func hasSymbols(extracted []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(extracted))
	var header, body struct {
		Symbols []json.RawMessage `json:"pkgSymbols"`
	}
	return dec.Decode(&header) == nil && dec.Decode(&body) == nil && len(body.Symbols) > 0
}

func fileURL(dir string) string {
	slashed := filepath.ToSlash(dir)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/…
	}
	u := url.URL{Scheme: "file", Path: slashed}
	return u.String()
}

// sightings reads govulncheck's JSON messages.
func sightings(r io.Reader) (map[string]sighting, error) {
	out := map[string]sighting{}
	dec := json.NewDecoder(r)
	for {
		var message struct {
			Finding *struct {
				OSV   string `json:"osv"`
				Trace []struct {
					Package  string `json:"package"`
					Function string `json:"function"`
					Receiver string `json:"receiver"`
				} `json:"trace"`
			} `json:"finding"`
		}
		err := dec.Decode(&message)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read scan: %w", err)
		}
		if message.Finding == nil || len(message.Finding.Trace) == 0 {
			continue
		}
		at := message.Finding.Trace[0]
		s, ok := out[message.Finding.OSV]
		level := Required
		switch {
		case at.Function != "":
			level = Called
			s.symbols = append(s.symbols, symbol(at.Package, at.Receiver, at.Function))
		case at.Package != "":
			level = Imported
		}
		if !ok || nearer(level, s.reach) {
			s.reach = level
		}
		out[message.Finding.OSV] = s
	}
}

func symbol(pkg, receiver, function string) string {
	if receiver != "" {
		function = strings.TrimPrefix(receiver, "*") + "." + function
	}
	return pkg + "." + function
}
