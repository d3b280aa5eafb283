package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/internal/trust/chain"
)

func isURL(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	return ok && (slices.Contains([]string{"http", "https", "file"}, strings.ToLower(scheme)) || isBucket(scheme))
}

// URL downloads a file with its bundle, and stage.json, release statement and sign-offs where they are found in its
// folder or at most six above, into a folder of its own, verifies that as File does, and removes
// it. A URL that ends in a slash is a whole release, verified as by Dir. http, https and file; and s3, gs and azblob through
// Options.Buckets, which are listed and read where they are.
//
// Downloads are bounded: in size, in time without progress, and in redirects, which never lead from https to
// http. A file that the server does not have (403, 404, 410) is not there; any other failure is an error.
func URL(ctx context.Context, rawURL string, o Options) (*Report, error) {
	if _, err := newVerifier(o); err != nil {
		return nil, err
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "file" && u.Host == "" {
		return nil, urlRefusal("url-unsupported", "this is not a URL that can be verified", "https://host/path", fmt.Sprintf("%.200q", rawURL), err)
	}
	switch {
	case u.Scheme == "file":
		return local(ctx, u, o)
	case isBucket(u.Scheme):
		return inBucket(ctx, u, o)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, urlRefusal("url-unsupported", "nothing is read from URLs of this scheme", "https, http, file, s3, gs or azblob", fmt.Sprintf("%.40q", u.Scheme), nil)
	}
	tmp, err := os.MkdirTemp("", "sello-verify-")
	if err != nil {
		return nil, fmt.Errorf("make download folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	if tmp, err = filepath.Abs(tmp); err != nil {
		return nil, fmt.Errorf("make download folder: %w", err)
	}
	d := newDownload(tmp, o.MaxDownload)
	defer d.client.Close()
	var r *Report
	folder, err := d.isFolder(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", u.Redacted(), err)
	}
	if folder {
		r, err = d.release(ctx, u, o)
	} else {
		r, err = d.file(ctx, u, o)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", u.Redacted(), err)
	}
	r.Artifact = u.Redacted()
	for i, c := range r.Checks {
		r.Checks[i].Where = strings.TrimPrefix(strings.TrimPrefix(c.Where, tmp), string(filepath.Separator))
	}
	for _, f := range r.refusals {
		f.Where = u.Redacted() + ": " + strings.TrimPrefix(strings.TrimPrefix(f.Where, tmp), string(filepath.Separator))
	}
	return r, nil
}

// isFolder holds for a URL that ends in a slash, and for one that is called like a version and has stage.json below it.
func (d *download) isFolder(ctx context.Context, u *url.URL) (bool, error) {
	if strings.HasSuffix(u.Path, "/") || !semver.IsValid(path.Base(u.Path)) {
		return strings.HasSuffix(u.Path, "/"), nil
	}
	below := u.JoinPath(stage.FileName)
	below.RawQuery, below.Fragment = "", ""
	return d.get(ctx, below, stage.FileName, stage.MaxSize)
}

func local(ctx context.Context, u *url.URL, o Options) (*Report, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, urlRefusal("url-unsupported", "a file URL names a file on this machine", "file:///path", u.Redacted(), nil)
	}
	p := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		p = strings.TrimPrefix(p, `\`)
	}
	return Any(ctx, p, o)
}

func urlRefusal(code, what, expected, actual string, cause error) error {
	return &gate.Refusal{Code: code, Class: gate.Usage, What: what, Expected: expected, Actual: actual, Cause: cause, Fix: "give the URL of a released file, or of a release's folder with a slash at its end"}
}

// file downloads one file and what is needed to judge it, laid out as it was published.
func (d *download) file(ctx context.Context, u *url.URL, o Options) (*Report, error) {
	base, name, err := d.findRelease(ctx, u)
	if err != nil {
		return nil, err
	}
	if err := stage.CheckName(strings.TrimPrefix(name, stage.FilesFolder+"/")); err != nil {
		return nil, urlRefusal("url-unsupported", "the URL does not name a file that can be stored safely", "https://host/path/name", u.Redacted(), err)
	}
	found, err := d.get(ctx, u, name, d.maxFile)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, &gate.Refusal{Code: "download-missing", Class: gate.Failed, What: "there is no such file on the server", Where: u.Redacted(), Fix: "check the URL; that of a release's folder ends in a slash"}
	}
	if _, err := d.get(ctx, sibling(u, path.Base(u.Path)+stage.BundleSuffix), name+stage.BundleSuffix, sign.MaxBundle); err != nil {
		return nil, err
	}
	if base != nil {
		if err := d.signOffs(ctx, base, o); err != nil {
			return nil, err
		}
	}
	return verifyFile(ctx, filepath.Join(d.dir, filepath.FromSlash(name)), d.dir, o)
}

// besides are what proves something of a release and need not be named by its statement, with how large each may be.
var besides = map[string]int64{tlog.ProofFile: tlog.MaxProof, stage.SummaryBundle: sign.MaxBundle, stage.SummaryPlain: sign.MaxBundle}

// findRelease looks for stage.json and the release statement in the file's folder and above. It gives
// the release's URL and the file's name in it, or no URL when the file stands alone.
func (d *download) findRelease(ctx context.Context, u *url.URL) (base *url.URL, name string, err error) {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	for up := range min(maxUp+1, len(parts)) {
		name = strings.Join(parts[len(parts)-1-up:], "/")
		base = u.JoinPath("./" + strings.Repeat("../", up+1))
		base.RawQuery, base.Fragment = "", ""
		hasStage, err := d.get(ctx, base.JoinPath(stage.FileName), stage.FileName, stage.MaxSize)
		if err != nil {
			return nil, "", err
		}
		hasStatement, err := d.get(ctx, base.JoinPath(stage.ReleaseBundle), stage.ReleaseBundle, sign.MaxBundle)
		if err != nil {
			return nil, "", err
		}
		if hasStage || hasStatement {
			for name, limit := range besides {
				if _, err := d.get(ctx, base.JoinPath(name), name, limit); err != nil {
					return nil, "", err
				}
			}
			return base, name, nil
		}
	}
	return nil, parts[len(parts)-1], nil
}

func sibling(u *url.URL, name string) *url.URL {
	s := u.JoinPath("../" + name)
	s.Fragment = ""
	return s
}

// signOffs downloads the sign-offs that the release statement names, and those that the managers' names lead to. What
// the statement says here only guides the download; it is judged afterwards.
func (d *download) signOffs(ctx context.Context, base *url.URL, o Options) error {
	v, err := newVerifier(o)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, identity := range v.trust.Role(trust.RoleManager) {
		names[stage.SignOffFolder+"/"+identity+stage.BundleSuffix] = true
	}
	for _, name := range d.claimed() {
		if (strings.HasPrefix(name, stage.SignOffFolder+"/") || strings.HasPrefix(name, chain.Folder+"/")) && len(names) < maxSignOffs {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !safe(name) {
			continue
		}
		if _, err := d.get(ctx, base.JoinPath(name), name, maxSignOff); err != nil {
			return err
		}
	}
	return nil
}

// release downloads all that stage.json and the release statement name, and verifies the folder.
func (d *download) release(ctx context.Context, base *url.URL, o Options) (*Report, error) {
	base.RawQuery, base.Fragment = "", ""
	first := map[string]int64{stage.FileName: stage.MaxSize, stage.ReleaseBundle: sign.MaxBundle}
	maps.Copy(first, besides)
	for name, limit := range first {
		if _, err := d.get(ctx, base.JoinPath(name), name, limit); err != nil {
			return nil, err
		}
	}
	names := map[string]bool{}
	for _, name := range d.claimed() {
		names[name] = true
	}
	list := d.list()
	if list != nil {
		for _, a := range list.Artifacts {
			names[a.Name], names[a.Name+stage.BundleSuffix] = true, true
		}
	}
	for name := range first {
		delete(names, name)
	}
	if len(names) > maxFiles {
		return nil, urlRefusal("folder-too-large", "the release names too many files", fmt.Sprint(maxFiles), fmt.Sprint(len(names)), nil)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !safe(name) {
			continue // it stays missing, and is refused as such
		}
		limit := d.maxFile
		if a := find(list, name); a != nil {
			limit = min(limit, a.Size)
		}
		if _, err := d.get(ctx, base.JoinPath(name), name, limit); err != nil {
			return nil, err
		}
	}
	if err := d.signOffs(ctx, base, o); err != nil {
		return nil, err
	}
	return Dir(ctx, d.dir, o)
}

func find(list *stage.Stage, name string) *stage.Artifact {
	if list == nil {
		return nil
	}
	return list.Find(name)
}

// safe holds for names that can be stored in the download folder and in no other place.
func safe(name string) bool {
	own := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, stage.SignOffFolder+"/"), stage.VEXFolder+"/"), chain.Folder+"/"), stage.BundleSuffix)
	return fs.ValidPath(name) && filepath.IsLocal(filepath.FromSlash(name)) && stage.CheckName(own) == nil
}

// claimed gives the names in the downloaded release statement, before anything is verified.
func (d *download) claimed() []string {
	data, err := d.read(stage.ReleaseBundle)
	if err != nil {
		return nil
	}
	b, err := sign.ParseBundle(data)
	if err != nil || b.Envelope == nil {
		return nil
	}
	h, err := attest.DecodeHeader(b.Envelope.Payload)
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range h.Subject {
		names = append(names, s.Name)
	}
	return names
}

// list gives the downloaded stage.json, before anything is verified.
func (d *download) list() *stage.Stage {
	data, err := d.read(stage.FileName)
	if err != nil {
		return nil
	}
	s, err := stage.Decode(data)
	if err != nil {
		return nil
	}
	return s
}

var errTooLarge = errors.New("larger than allowed")
