package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
)

// SummaryOptions say who issues a verification summary of a verdict, and how.
type SummaryOptions struct {
	Out      string // file to be written; .intoto.jsonl and .intoto.json are plain envelopes, any other is a Sigstore bundle
	Key      string // private key file, file of this machine that says with what is signed (NAME.yaml), or URI of a key with a service
	Ask      sign.Passphrase
	Verifier string       // URI of whoever issues
	Resource string       // URI of what was verified; "" is the release's package URL
	Policy   string       // path of the file by which was judged
	Judged   []byte       // its content
	Trust    *trust.Trust // nil when a policy judged
	Tool     string
	Now      time.Time
}

// Check refuses options that cannot lead to a summary, before anything is verified.
func (o SummaryOptions) Check() error {
	if o.Key == "" || o.Verifier == "" {
		return usageRefusal("vsa-options", "--vsa-out "+o.Out, "a verification summary is signed, and says by whom", "add --vsa-key KEY and --vsa-verifier https://…")
	}
	if info, err := os.Stat(o.Key); !isKeyURI(o.Key) && (err != nil || info.IsDir()) {
		return usageRefusal("key-missing", o.Key, "there is no such key file", "give the path of a private key, or the URI of one with a service: sello key list names those of this machine")
	}
	for flag, uri := range map[string]string{"--vsa-verifier": o.Verifier, "--vsa-resource": o.Resource} {
		if u, err := url.Parse(uri); uri != "" && (err != nil || u.Scheme == "") {
			return usageRefusal("vsa-options", flag, fmt.Sprintf("%.200q is not a URI", uri), "give a URI such as https://example.org/verifiers/mine")
		}
	}
	if o.Resource == "" && o.Trust == nil {
		return usageRefusal("vsa-options", "--vsa-resource", "nothing says what the file is", "add --vsa-resource URI: the package URL or repository that whoever relies on the summary asks for")
	}
	return nil
}

// IssueSummary signs a verification summary of a verdict, good or bad, and writes it. It refuses a verdict about nothing that has a digest,
// and to overwrite a file.
func IssueSummary(ctx context.Context, r *verify.Report, o SummaryOptions) error {
	if err := o.Check(); err != nil {
		return err
	}
	statement, err := o.statement(r)
	if err != nil {
		return err
	}
	payload, err := statement.Encode()
	if err != nil {
		return err
	}
	key, err := signerAt(ctx, o.Key, o.Ask)
	if err != nil {
		return err
	}
	data, err := sign.SignStatement(ctx, key, attest.PayloadType, payload)
	if err != nil {
		return fmt.Errorf("sign verification summary: %w", err)
	}
	if strings.HasSuffix(o.Out, ".intoto.jsonl") || strings.HasSuffix(o.Out, ".intoto.json") {
		if data, err = sign.Plain(data); err != nil {
			return err
		}
	}
	return writeNew(o.Out, data)
}

// writeNew writes a file that is not there yet.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageRefusal("vsa-exists", name, "there is a file of this name", "give another name, or remove it")
	}
	if err != nil {
		return fmt.Errorf("write verification summary: %w", err)
	}
	_, err = f.ReadFrom(bytes.NewReader(data))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write verification summary: %w", errors.Join(err, os.Remove(name)))
	}
	return nil
}

func (o SummaryOptions) statement(r *verify.Report) (attest.Statement[attest.Summary], error) {
	s := attest.Summary{
		Verifier: attest.Verifier{ID: o.Verifier, Version: map[string]string{"sello": o.Tool}}, TimeVerified: o.Now, ResourceURI: o.Resource,
		Policy: attest.ResourceOf(fileURI(o.Policy), digest.Bytes(o.Judged)), Result: attest.Failed, Levels: []string{attest.Failed},
	}
	own := ""
	if o.Trust != nil && r.Version != "" {
		own = trust.Purl(o.Trust.Source, o.Trust.Project, r.Version)
	}
	if s.ResourceURI == "" {
		s.ResourceURI = own
	}
	if s.ResourceURI == "" {
		return attest.Statement[attest.Summary]{}, usageRefusal("vsa-options", "--vsa-resource", "what was verified does not say of which version it is", "add --vsa-resource URI")
	}
	if r.Verdict == verify.Accepted {
		s.Result, s.Levels = attest.Passed, r.Stated
		if level := r.Levels["build"]; level != "" {
			s.Levels = []string{level}
		}
	}
	for _, e := range r.Evidence {
		uri := fileURI(e.Name)
		if own != "" && r.Scope != verify.ScopeSummary {
			uri = own + "#" + (&url.URL{Path: e.Name}).EscapedPath()
		}
		s.InputAttestations = append(s.InputAttestations, attest.Resource{URI: uri, Digest: e.Digest})
	}
	var subjects []attest.Subject
	for _, n := range r.Subjects {
		if n.Digest["sha256"] == "" || slices.ContainsFunc(subjects, func(s attest.Subject) bool { return s.Name == n.Name }) {
			continue
		}
		subjects = append(subjects, attest.Subject{Name: n.Name, Digest: n.Digest})
	}
	if len(subjects) == 0 {
		return attest.Statement[attest.Summary]{}, &gate.Refusal{Code: "vsa-nothing", Where: o.Out, What: "nothing was found that a verification summary could be about", Expected: "a file, or a release with stage.json", Actual: r.Artifact, Fix: "give something that has a SHA-256"}
	}
	return attest.NewSummary(subjects, s)
}

// fileURI names a file by its name alone: where it lies on this machine is nobody's business.
func fileURI(name string) string {
	return (&url.URL{Scheme: "file", Opaque: url.PathEscape(filepath.Base(name))}).String()
}
