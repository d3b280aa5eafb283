package gomod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/material/cas"
)

// chunk is how many modules one go command is asked about: a command line has its limits.
const chunk = 150

// checkSumDB has every hash compared with the checksum database, also those that go.sum
// has: go.sum comes with the source, the database does not. Modules that the user's
// settings exempt are marked; those that an earlier run had compared are not asked about again.
//
// The go command does the asking, for a module of its own without a go.sum file,
// so it knows the databases' keys and keeps their tree heads.
func (s *session) checkSumDB(ctx context.Context, ms []fetched) error {
	var zips, mods []*fetched
	for i := range ms {
		m := &ms[i]
		switch {
		case s.exempt(m), s.known(m):
		case m.hasZip():
			zips = append(zips, m)
		default:
			mods = append(mods, m)
		}
	}
	if len(zips)+len(mods) == 0 {
		return nil
	}
	s.f.opts.Progress(fmt.Sprintf("ask checksum database about %d modules", len(zips)+len(mods)))
	now := time.Now().UTC().Truncate(time.Second)
	ask := slices.Clone(zips)
	for part := range slices.Chunk(mods, chunk) {
		rest, err := s.askAboutGoMods(ctx, part)
		if err != nil {
			return err
		}
		ask = append(ask, rest...)
	}
	for part := range slices.Chunk(ask, chunk) {
		if err := s.askAbout(ctx, part); err != nil {
			return err
		}
	}
	for _, m := range slices.Concat(zips, mods) {
		m.verifiedBy, m.verifiedAt = s.user.settings.SumDBName(), now
	}
	return nil
}

func (s *session) exempt(m *fetched) bool {
	m.exempt = s.user.settings.Exempt(m.Path)
	return m.exempt != ""
}

// known reports whether the same database had the same hashes before.
func (s *session) known(m *fetched) bool {
	mod, ok := s.f.index.Get(m.mod.Key)
	if !ok || mod.H1 != m.modH1 || mod.VerifiedBy != s.user.settings.SumDBName() || mod.VerifiedAt == nil {
		return false
	}
	if m.hasZip() {
		zip, ok := s.f.index.Get(cas.Key{Module: m.Path, Version: m.Version.Version, Kind: cas.Zip})
		if !ok || zip.H1 != m.h1 || zip.VerifiedBy != mod.VerifiedBy {
			return false
		}
	}
	m.verifiedBy, m.verifiedAt = mod.VerifiedBy, *mod.VerifiedAt
	return true
}

// said is what the go command prints about one module.
type said struct {
	Path, Version, Sum, GoModSum, GoVersion string
	Error                                   json.RawMessage // text from `mod download`, an object from `list`
}

// askAboutGoMods asks about modules of which only the go.mod file is needed, and
// gives those that the answer does not settle. `go list -m` keeps silent about a go.mod file that was
// not verified: it leaves out what it would have read from it, which is GoVersion. So the
// rest, and files without a go line, are asked about with `go mod download`, which downloads the zip too, and explains.
func (s *session) askAboutGoMods(ctx context.Context, ms []*fetched) ([]*fetched, error) {
	args := []string{"list", "-m", "-e", "-json=Path,Version,GoVersion", "-modcacherw", "--"}
	answers, err := s.ask(ctx, args, ms)
	if err != nil && gate.Code(err) != "" {
		return nil, err
	}
	var rest []*fetched
	for _, m := range ms {
		if answers[m.String()].GoVersion == "" {
			rest = append(rest, m)
		}
	}
	return rest, nil
}

// askAbout has the zip and the go.mod file of each module compared.
func (s *session) askAbout(ctx context.Context, ms []*fetched) error {
	answers, runErr := s.ask(ctx, []string{"mod", "download", "-json", "-modcacherw", "--"}, ms)
	for _, m := range ms {
		a, ok := answers[m.String()]
		var text string
		if json.Unmarshal(a.Error, &text) == nil && text != "" {
			return s.notVerified(m.String(), text, errors.New(text))
		}
		if !ok && runErr == nil {
			return s.notVerified(m.String(), "", errors.New("the go command said nothing about it"))
		}
		if ok && (a.GoModSum != m.modH1 || m.hasZip() && a.Sum != m.h1) {
			return databaseMismatch(m.String(), s.user.settings.SumDBName(), a.Sum+" "+a.GoModSum, m.h1+" "+m.modH1)
		}
	}
	if runErr != nil {
		return s.notVerified("", runErr.Error(), runErr)
	}
	return nil
}

// ask runs the go command in a module without a go.sum file, so that it asks the
// checksum database. There may be answers beside an error.
func (s *session) ask(ctx context.Context, args []string, ms []*fetched) (map[string]said, error) {
	for _, m := range ms {
		args = append(args, m.String())
	}
	out, runErr := s.runWith(ctx, s.asker, filepath.Join(s.dir, "alone"), s.proxied(true), args...)
	answers := map[string]said{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var a said
		err := dec.Decode(&a)
		if errors.Is(err, io.EOF) {
			return answers, runErr
		}
		if err != nil {
			return answers, errors.Join(runErr, fmt.Errorf("read output of go %s: %w", args[0], err))
		}
		answers[a.Path+"@"+a.Version] = a
	}
}

// notVerified makes sure that whatever kept the database from vouching is a refusal.
func (s *session) notVerified(name, text string, err error) error {
	if err = s.explain(text, err); gate.Code(err) != "" {
		return err
	}
	return &gate.Refusal{Code: "sumdb-unverified", Class: gate.Failed, Where: name, What: "the checksum database did not vouch for a module",
		Fix: "check `go env GOSUMDB GONOSUMDB`", Cause: err}
}
