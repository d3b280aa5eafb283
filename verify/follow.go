package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/trust/chain"
)

// follow leads from the trust file that was given to the one that a release was made with, where that is a later version: the release has
// the versions between with their managers' signatures. What is wrong with them is the first check's to say.
func (v *verifier) follow(ctx context.Context, src Source) error {
	entries, err := src.List(ctx, chain.Folder+"/")
	if err != nil {
		return fmt.Errorf("list versions of the trust file: %w", err)
	}
	files := chain.Files{}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name, chain.Folder+"/")
		if !ok || e.Irregular || strings.Contains(name, "/") || len(files) >= chain.MaxFiles {
			continue
		}
		if files[name], err = readVersion(ctx, src, e.Name); err != nil {
			return fmt.Errorf("read versions of the trust file: %w", err)
		}
	}
	versions := files.Versions()
	if len(versions) == 0 || versions[len(versions)-1] < v.trust.Version { // a release of before
		return nil
	}
	t, steps, err := chain.Follow(v.trust, files)
	if err != nil {
		v.unfollowed = err
		return nil
	}
	if len(steps) > 1 {
		v.from, v.trust = v.trust, t
		v.builders = sign.SignersOf(t, trust.RoleBuilder)
		v.builders.Now = v.Now
	}
	v.log, err = tlog.IdentityOf(v.trust)
	return err
}

// followed holds that a release which was made with a later version of the trust file than the one in force here was followed to it: without
// its folder of versions nobody learns what changed since.
func (v *verifier) followed(f *findings, said map[string]string) bool {
	if v.unfollowed != nil {
		return true // refused already, by its reason
	}
	names := chain.Files{}
	for name := range said {
		if rest, ok := strings.CutPrefix(name, chain.Folder+"/"); ok {
			names[rest] = nil
		}
	}
	versions := names.Versions()
	if len(versions) == 0 || versions[len(versions)-1] <= v.trust.Version {
		return true
	}
	last := chain.Folder + "/" + chain.FileName(versions[len(versions)-1])
	f.fail(Check{ID: "trust-chain-missing", Subject: last, Where: last}, &gate.Refusal{Code: "trust-chain-missing", What: "the release was made with a later version of the trust file, and the versions up to it are not there", Where: last,
		Expected: fmt.Sprintf("version %d", versions[len(versions)-1]), Actual: fmt.Sprintf("version %d", v.trust.Version), Fix: "download the release whole, or follow to the later version first: sello trust verify FOLDER --from trust.yaml --out trust.yaml"})
	return false
}

func readVersion(ctx context.Context, src Source, name string) ([]byte, error) {
	f, err := src.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, chain.MaxFile+1))
	if err == nil && len(data) > chain.MaxFile {
		return nil, &gate.Refusal{Code: "trust-size", Where: name, What: "this is too large for a version of a trust file", Expected: fmt.Sprintf("at most %d bytes", chain.MaxFile), Fix: "download the release again"}
	}
	return data, err
}
