// Package verify says whether a released file, or a whole release, is what its
// project released. It is what `sello verify` does, for programs downstream.
//
//	data, err := os.ReadFile("trust.yaml") // the project's, from a place that you trust
//	if err != nil {
//		return err
//	}
//	report, err := verify.File(ctx, "age_v1.4.2_linux_amd64.tar.gz", verify.Options{TrustFile: data})
//	if err != nil {
//		return err // it could not be tried: no such file, no such trust file
//	}
//	if err := report.Err(); err != nil {
//		return err // refused: the first reason; report.Checks has them all
//	}
//	fmt.Println(report.Verdict, report.Levels["build"], report.Source)
//
// # What it promises
//
// Everything is decided from the files and the trust file alone: there is no network, but
// in URL and in what a Source does, and no state. Every byte is read once, and the bytes that are hashed are those that are
// parsed. Only keys in the trust file count, each for its role. The build level is the one
// that the trust file grants to the pair of signer and builder; what provenance says of itself
// decides nothing (SLSA v1.2, Verifying artifacts). Checks are made in this order: signature,
// payload type, statement type, subject, predicate type, builder and level, expectations.
//
// A folder is a release (stage.json, its files, sign-offs/, release.sigstore.json) or a
// stage (stage.json, sign-offs/, files/). It has to be complete: a missing, an
// extra and a changed file are each refused, and symbolic links are not followed.
// Leaving evidence out never makes a release that is refused acceptable. Files verifies the same in any Source, such as a bucket.
//
// A file by itself, with nothing but its bundle, is judged by its provenance: the report's scope is
// then "file". With stage.json in the same folder or at most six above, the file
// has to be listed there, and sign-offs and release statement are judged too: "file-in-release". To insist
// on those, set RequireRelease.
//
// Where the trust file names a verifier, a release needs the verification summary of the project's own gate, and that has to say what is found here.
// ProjectSummary believes it by itself.
//
// # What it does not do
//
// It does not judge what a file does, nor whether its source is good, and takes the time from the caller: an
// artifact's age proves nothing. It refreshes no trusted root.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
)

// Options say what to expect. TrustFile is all that is needed.
type Options struct {
	TrustFile   []byte    // content of the project's trust.yaml
	TrustName   string    // its path, for messages; "" is trust.yaml
	TrustedRoot []byte    // content of the trusted root that it names, where identities sign with certificates
	Now         time.Time // when expiries are judged; zero is the present

	Version  string   // the version that is wanted; "" accepts any
	MinLevel int      // the least SLSA Build level of the builder, 0 to 3
	Evidence []string // evidence that every artifact needs besides what stage.json asks for: "provenance", "sbom"
	Managers int      // how many sign-offs; the trust file's threshold holds if it is higher
	Rebuilt  int      // how many of them with a rebuild of their own

	StageFile []byte // content of stage.json, for an image: it has to list the image

	RequireRelease bool // refuse a file that stands outside of a release
	SkipSignOffs   bool // for a stage that is to be signed off
	Unreleased     bool // for a promoted folder whose release statement is not made yet

	// Buckets opens the bucket of an s3, gs or azblob URL, which has no path: bucket.Open of verify/bucket.
	// Without it such URLs are refused. A source that is an io.Closer is closed.
	Buckets func(ctx context.Context, rawURL string) (Source, error)

	MaxDownload int64 // URL only: bytes of one file; zero is 8 GiB
	Workers     int   // how many files are hashed at one time; zero is one a core
}

// Any verifies what arg names: a URL (http, https, file, and s3, gs, azblob through Options.Buckets), a folder or a file.
func Any(ctx context.Context, arg string, o Options) (*Report, error) {
	if isURL(arg) {
		return URL(ctx, arg, o)
	}
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(arg, "://"): // of a scheme that URL refuses by name
		return URL(ctx, arg, o)
	case errors.Is(err, fs.ErrNotExist) && IsImage(arg):
		return Image(ctx, arg, o)
	case err != nil:
		return nil, fmt.Errorf("verify: %w", err)
	case info.IsDir() && isLayout(arg):
		return LayoutDir(ctx, arg, o)
	case info.IsDir():
		return Dir(ctx, arg, o)
	}
	return File(ctx, arg, o)
}

// verifier holds what one verification judges by.
type verifier struct {
	Options
	trust    *trust.Trust // in force: the one that was given, or what the release's versions lead to from there
	from     *trust.Trust // that was given, when that is another one
	builders *sign.Signers

	unfollowed error // what is wrong with the versions of the trust file that a release has

	log   *tlog.Identity // nil when the project has no transparency log
	cache cache
}

func newVerifier(o Options) (*verifier, error) {
	if len(o.TrustFile) == 0 {
		return nil, &gate.Refusal{Code: "trust-missing", Class: gate.Usage, What: "there is no trust file to verify with", Expected: "the project's trust.yaml",
			Fix: "get trust.yaml from the project's repository, and give it with --trust"}
	}
	if o.TrustName == "" {
		o.TrustName = trust.FileName
	}
	t, err := trust.Parse(o.TrustName, o.TrustFile)
	if err != nil {
		return nil, fmt.Errorf("read trust file: %w", err)
	}
	if o.TrustedRoot != nil {
		if err := t.SetRoot(o.TrustedRoot); err != nil {
			return nil, err
		}
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.MinLevel < 0 || o.MinLevel > 3 {
		return nil, errors.New("verify: the least level is 0 to 3")
	}
	v := &verifier{Options: o, trust: t, builders: sign.SignersOf(t, trust.RoleBuilder)}
	v.builders.Now = o.Now
	v.log, err = tlog.IdentityOf(t)
	return v, err
}

// checkTrust is the first check of every report.
func (v *verifier) checkTrust(f *findings) {
	f.chain(Check{Where: v.TrustName}, step{"trust-expired", func(c *Check) error {
		c.Actual = fmt.Sprintf("version %d, sha256:%s, until %s", v.trust.Version, v.trust.Digest(), v.trust.Expires)
		if v.from != nil {
			c.Actual += fmt.Sprintf("; followed from version %d", v.from.Version)
		}
		if v.unfollowed != nil {
			return v.unfollowed
		}
		return v.trust.Check(v.Now)
	}})
}

// sourceMatches reports whether provenance's or a stage's source URI is the trust file's
// canonical source. version is the release's, "" when it is not known.
func sourceMatches(canonical, uri, version string) bool {
	if !strings.HasPrefix(canonical, "pkg:golang/") {
		return uri == "git+"+canonical
	}
	if strings.Contains(canonical, "@") {
		return uri == canonical
	}
	module, at, _ := strings.Cut(uri, "@")
	return module == canonical && at != "" && (version == "" || at == version)
}
