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
	for part := range slices.Chunk(zips, chunk) {
		if err := s.askAbout(ctx, part, []string{"mod", "download", "-json", "-modcacherw", "--"}); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(mods, chunk) {
		if err := s.askAbout(ctx, part, []string{"list", "-m", "-e", "-json=Path,Version,Error", "-modcacherw", "--"}); err != nil {
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

// said is what the go command prints about one module: `mod download` gives Error as text, `list` as an object.
type said struct {
	Path, Version, Sum, GoModSum string
	Error                        json.RawMessage
}

func (a said) problem() string {
	var text string
	if json.Unmarshal(a.Error, &text) == nil {
		return text
	}
	var object struct{ Err string }
	if json.Unmarshal(a.Error, &object) == nil {
		return object.Err
	}
	return ""
}

func (s *session) askAbout(ctx context.Context, ms []*fetched, args []string) error {
	byName := map[string]*fetched{}
	for _, m := range ms {
		args = append(args, m.String())
		byName[m.String()] = m
	}
	out, runErr := s.run(ctx, filepath.Join(s.dir, "alone"), s.proxied(true), args...)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var a said
		err := dec.Decode(&a)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(runErr, fmt.Errorf("read output of go %s: %w", args[0], err))
		}
		name := a.Path + "@" + a.Version
		if text := a.problem(); text != "" {
			return s.notVerified(name, text)
		}
		m := byName[name]
		if m == nil {
			return fmt.Errorf("read output of go %s: it speaks of %s", args[0], name)
		}
		if m.hasZip() && (a.Sum != m.h1 || a.GoModSum != m.modH1) {
			return databaseMismatch(name, s.user.settings.SumDBName(), a.Sum, m.h1)
		}
		delete(byName, name)
	}
	if runErr != nil {
		return s.notVerified("", runErr.Error(), runErr)
	}
	for name := range byName {
		return s.notVerified(name, "the go command said nothing about "+name)
	}
	return nil
}

// notVerified makes sure that whatever kept the database from vouching is a refusal.
func (s *session) notVerified(name, text string, cause ...error) error {
	err := errors.Join(cause...)
	if err == nil {
		err = errors.New(text)
	}
	if err = s.explain(text, err); gate.Code(err) != "" {
		return err
	}
	return &gate.Refusal{Code: "sumdb-unverified", Class: gate.Failed, Where: name, What: "the checksum database did not vouch for a module",
		Fix: "check `go env GOSUMDB GONOSUMDB`", Cause: err}
}
