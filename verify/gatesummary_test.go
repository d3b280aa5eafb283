package verify_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	vsa "github.com/in-toto/attestation/go/predicates/vsa/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/registry/registrytest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/stage"
	"github.com/sello-release/sello/internal/trust"
	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// respell gives a change of the summary's payload.
func respell(from, to string) func(*vt.Summary) {
	return func(s *vt.Summary) {
		s.Payload = func(p []byte) []byte {
			if !bytes.Contains(p, []byte(from)) {
				panic("the payload has no " + from)
			}
			return bytes.Replace(p, []byte(from), []byte(to), 1)
		}
	}
}

// A release of a project with a gate needs the gate's summary, and everything in it has to be what is found.
func TestGateSummary(t *testing.T) {
	t.Parallel()
	w := vt.NewGateWorld(t)
	for name, c := range map[string]struct {
		change func(*vt.Summary)
		code   string // of the folder, and of a file in it unless file says otherwise
		file   string
	}{
		"good":                 {func(*vt.Summary) {}, "", ""},
		"made later":           {func(s *vt.Summary) { s.Late = true }, "", ""},
		"missing":              {func(s *vt.Summary) { s.Bundle, s.Plain = nil, nil }, "vsa-missing", "vsa-missing"},
		"plain alone":          {func(s *vt.Summary) { s.Bundle = nil }, "vsa-missing", "vsa-missing"},
		"no plain":             {func(s *vt.Summary) { s.Plain = nil }, "vsa-missing", ""},
		"no bundle":            {func(s *vt.Summary) { s.Bundle = func([]byte) []byte { return []byte("{") } }, "bad-json", "bad-json"},
		"a manager's":          {func(s *vt.Summary) { s.Signer = w.Keys["first"] }, "no-trusted-signer", "no-trusted-signer"},
		"the builder's":        {func(s *vt.Summary) { s.Signer = w.Keys["build-service"] }, "no-trusted-signer", "no-trusted-signer"},
		"a stranger's":         {func(s *vt.Summary) { s.Signer = w.Keys["stranger"] }, "no-trusted-signer", "no-trusted-signer"},
		"another statement":    {respell(attest.SummaryType, attest.SPDXType), "wrong-predicate", "wrong-predicate"},
		"an artifact left out": {func(s *vt.Summary) { s.Subjects = s.Subjects[1:] }, "subject-mismatch", "subject-mismatch"},
		"an artifact too many": {func(s *vt.Summary) {
			s.Subjects = append(s.Subjects, attest.Subject{Name: "evil", Digest: s.Subjects[0].Digest})
		}, "subject-mismatch", "subject-mismatch"},
		"another digest":              {func(s *vt.Summary) { s.Subjects[0].Digest = map[string]string{"sha256": strings.Repeat("e", 64)} }, "subject-mismatch", "subject-mismatch"},
		"another digest, too":         {func(s *vt.Summary) { s.Subjects[0].Digest["sha512"] = strings.Repeat("e", 128) }, "subject-mismatch", "subject-mismatch"},
		"another name":                {func(s *vt.Summary) { s.Subjects[0].Name = "evil" }, "subject-mismatch", "subject-mismatch"},
		"a subject twice":             {func(s *vt.Summary) { respell(`"name":"`+s.Subjects[1].Name+`"`, `"name":"`+s.Subjects[0].Name+`"`)(s) }, "subject-mismatch", "subject-mismatch"},
		"another verifier":            {func(s *vt.Summary) { s.Verifier.ID += "2" }, "vsa-verifier-untrusted", "vsa-verifier-untrusted"},
		"another project":             {func(s *vt.Summary) { s.ResourceURI = strings.Replace(s.ResourceURI, "@", "x@", 1) }, "vsa-resource-mismatch", "vsa-resource-mismatch"},
		"another version":             {func(s *vt.Summary) { s.ResourceURI += "1" }, "vsa-resource-mismatch", "vsa-resource-mismatch"},
		"no version":                  {func(s *vt.Summary) { s.ResourceURI, _, _ = strings.Cut(s.ResourceURI, "@") }, "vsa-resource-mismatch", "vsa-resource-mismatch"},
		"failed":                      {func(s *vt.Summary) { s.Result, s.Levels = attest.Failed, []string{attest.Failed} }, "vsa-failed", "vsa-failed"},
		"passed, level FAILED":        {respell("SLSA_BUILD_LEVEL_3", "FAILED"), "vsa-failed", "vsa-failed"},
		"no result":                   {respell("PASSED", ""), "vsa-failed", "vsa-failed"},
		"a higher level":              {func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_4"} }, "vsa-level", "vsa-level"},
		"two levels":                  {func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_2"} }, "", ""},
		"a higher level, and a lower": {func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_4", "SLSA_BUILD_LEVEL_1"} }, "vsa-level", "vsa-level"},
		"a lower level":               {func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_1"} }, "", ""},
		"no build level":              {func(s *vt.Summary) { s.Levels = []string{"SLSA_SOURCE_LEVEL_3"} }, "vsa-level", "vsa-level"},
		"levels of others, too":       {func(s *vt.Summary) { s.Levels = append(s.Levels, "SLSA_SOURCE_LEVEL_3", "EXAMPLE_GOLD") }, "", ""},
		"made in the future":          {func(s *vt.Summary) { s.TimeVerified = vt.Now.Add(time.Hour) }, "vsa-time", "vsa-time"},
		"made at no time":             {respell(`"timeVerified"`, `"timeOther"`), "vsa-time", "vsa-time"},
		"fields of others, too":       {respell(`"inputAttestations"`, `"example_more":{"x":[1]},"inputAttestations"`), "", ""},
		"plain of another": {func(s *vt.Summary) {
			s.Plain = func(p []byte) []byte { return bytes.Replace(p, []byte(`"payload":"ey`), []byte(`"payload":"fy`), 1) }
		}, "vsa-mismatch", "vsa-mismatch"},
		"plain of another type": {func(s *vt.Summary) {
			s.Plain = func(p []byte) []byte { return bytes.Replace(p, []byte("in-toto+json"), []byte("in-toto+jsox"), 1) }
		}, "vsa-mismatch", "vsa-mismatch"},
		"plain with another signature": {func(s *vt.Summary) {
			s.Plain = func(p []byte) []byte { return bytes.Replace(p, []byte(`"sig":"ME`), []byte(`"sig":"MF`), 1) }
		}, "vsa-mismatch", "vsa-mismatch"},
		"plain is no envelope": {func(s *vt.Summary) { s.Plain = func([]byte) []byte { return []byte("[]") } }, "vsa-mismatch", "vsa-mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := w.Release(t, func(d *vt.Draft) { d.Summary = c.change })
			o := verify.Options{TrustFile: w.TrustFile, Now: vt.Now}
			r, err := verify.Dir(t.Context(), dir, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := gate.Code(r.Err()); got != c.code {
				t.Errorf("folder: %v, want %q", r.Err(), c.code)
			}
			r, err = verify.File(t.Context(), filepath.Join(dir, vt.Archive), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := gate.Code(r.Err()); got != c.file {
				t.Errorf("file: %v, want %q", r.Err(), c.file)
			}
		})
	}
}

// What the trust file says decides: a level that it no longer grants, a verifier that it does not name, an identity that did not count.
func TestGateSummaryByTrust(t *testing.T) {
	t.Parallel()
	w := vt.NewGateWorld(t)
	dir := w.Release(t)
	late := w.Release(t, func(d *vt.Draft) { d.Summary = func(s *vt.Summary) { s.Late = true } })
	changed := func(change func(*trust.Trust)) []byte {
		c := w.Trust.Clone()
		change(c)
		return trust.Marshal(c)
	}
	low := w.Release(t, func(d *vt.Draft) { d.Summary = func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_1"} } })
	without := changed(func(c *trust.Trust) { c.Remove("gate"); delete(c.Roles, trust.RoleVerifier) })
	for name, c := range map[string]struct {
		dir, code string
		trust     []byte
	}{
		"the builder's level was lowered": {dir, "vsa-level", changed(func(c *trust.Trust) { c.Builders[0].Level = 2 })},
		"the verifier has another id":     {dir, "vsa-verifier-untrusted", changed(func(c *trust.Trust) { c.Verifiers[0].ID += "2" })},
		"the gate's key had expired":      {dir, "trust-identity-expired", changed(func(c *trust.Trust) { expire(c, "gate", vt.Now.Add(-48*time.Hour)) })},
		"the gate's key expired since":    {dir, "", changed(func(c *trust.Trust) { expire(c, "gate", vt.Now) })},
		"more is asked for":               {low, "", w.TrustFile},
		"no verifier":                     {dir, "", without},
		"no verifier, made later":         {late, "", without},
	} {
		r, err := verify.Dir(t.Context(), c.dir, verify.Options{TrustFile: c.trust, Now: vt.Now.Add(72 * time.Hour), MinLevel: 2})
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
	}
}

func expire(t *trust.Trust, name string, at time.Time) {
	id := t.Identities[name]
	id.Expires = trust.Date(at.Format(time.DateOnly))
	t.Identities[name] = id
}

// A gate may sign with certificates: what verifies is the bundle. The plain form is the same envelope, and proves nothing by itself.
func TestKeylessGate(t *testing.T) {
	t.Parallel()
	w := vt.NewKeylessGateWorld(t, vt.Now)
	release := w.Release(t)
	o := keylessOptions(w)
	accepted(t, dir(t, release, o))
	accepted(t, file(t, filepath.Join(release, vt.Archive), o))
	sum := verify.Digests{"sha256": digest.Bytes(vt.Read(t, release, vt.Archive))}
	for name, code := range map[string]string{stage.SummaryBundle: "", stage.SummaryPlain: "no-trusted-signer"} {
		r, err := verify.ProjectSummary(sum, []verify.Evidence{{Name: name, Content: vt.Read(t, release, name)}}, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := gate.Code(r.Err()); got != code {
			t.Errorf("%s: %v, want %q", name, r.Err(), code)
		}
	}
	refused(t, dir(t, w.Release(t, func(d *vt.Draft) { d.Summary = func(s *vt.Summary) { s.Signer = w.Keys["first"] } }), o), "no-trusted-signer")
}

// A download of a release, or of a file in one, fetches the summary, whether the release statement names it or it was made later.
func TestGateSummaryByURL(t *testing.T) {
	t.Parallel()
	w := vt.NewGateWorld(t)
	for name, c := range map[string]struct {
		change func(*vt.Summary)
		code   string
	}{
		"named":   {nil, ""},
		"later":   {func(s *vt.Summary) { s.Late = true }, ""},
		"missing": {func(s *vt.Summary) { s.Bundle, s.Plain = nil, nil }, "vsa-missing"},
		"failed":  {func(s *vt.Summary) { s.Result, s.Levels = attest.Failed, []string{attest.Failed} }, "vsa-failed"},
	} {
		base := serve(t, published(w.Release(t, func(d *vt.Draft) { d.Summary = c.change }))) + "/age/v1.4.2/"
		for _, url := range []string{base, base + vt.Archive} {
			if r := get(t, url, options(w)); gate.Code(r.Err()) != c.code {
				t.Errorf("%s, %s: %v, want %q", name, url, r.Err(), c.code)
			}
		}
	}
}

// The gate's word alone, with the trust file.
func TestProjectSummary(t *testing.T) {
	t.Parallel()
	w := vt.NewGateWorld(t)
	dir := w.Release(t)
	bundle, plain := vt.Read(t, dir, stage.SummaryBundle), vt.Read(t, dir, stage.SummaryPlain)
	file := verify.Digests{"sha256": digest.Bytes(vt.Read(t, dir, vt.Archive))}
	other := vt.Read(t, w.Release(t, func(d *vt.Draft) {
		d.Summary = func(s *vt.Summary) {
			s.Subjects = slices.DeleteFunc(s.Subjects, func(one attest.Subject) bool { return one.Name == "SHA256SUMS" })
		}
	}), stage.SummaryBundle)
	more := vt.Read(t, w.Release(t, func(d *vt.Draft) {
		d.Summary = func(s *vt.Summary) {
			for i := range s.Subjects {
				s.Subjects[i].Digest["sha512"] = strings.Repeat("e", 128)
			}
		}
	}), stage.SummaryBundle)
	for name, c := range map[string]struct {
		file     verify.Digests
		evidence []byte
		change   func(*verify.Options)
		code     string
	}{
		"bundle":           {file, bundle, nil, ""},
		"plain":            {file, plain, nil, ""},
		"several in lines": {file, append(bytes.Clone(vt.Read(t, w.Release(t), stage.SummaryPlain)), plain...), nil, ""},
		"this version":     {file, bundle, func(o *verify.Options) { o.Version = vt.Version }, ""},
		"another version":  {file, bundle, func(o *verify.Options) { o.Version = "v9.9.9" }, "vsa-resource-mismatch"},
		"enough":           {file, bundle, func(o *verify.Options) { o.MinLevel = 3 }, ""},
		"another file":     {verify.Digests{"sha256": strings.Repeat("0", 64)}, bundle, nil, "subject-mismatch"},
		"a wrong SHA-512":  {verify.Digests{"sha256": file["sha256"], "sha512": strings.Repeat("0", 128)}, more, nil, "subject-mismatch"},
		"its own SHA-512":  {verify.Digests{"sha256": file["sha256"], "sha512": strings.Repeat("e", 128)}, more, nil, ""},
		"contradicting":    {verify.Digests{"sha256": file["sha256"][1:] + "0"}, bundle, nil, "subject-mismatch"},
		"nothing":          {file, nil, nil, "bad-json"},
		"provenance":       {file, vt.Read(t, dir, vt.Archive+stage.BundleSuffix), nil, "no-trusted-signer"},
		"too old":          {file, bundle, func(o *verify.Options) { o.Now = vt.Now.AddDate(20, 0, 0) }, "trust-expired"},
		"other subjects":   {verify.Digests{"sha256": digest.Bytes(vt.Read(t, dir, "SHA256SUMS"))}, other, nil, "subject-mismatch"},
	} {
		o := verify.Options{TrustFile: w.TrustFile, Now: vt.Now}
		if c.change != nil {
			c.change(&o)
		}
		r, err := verify.ProjectSummary(c.file, []verify.Evidence{{Name: "V", Content: c.evidence}}, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := gate.Code(r.Err()); got != c.code {
			t.Errorf("%s: %v, want %q", name, r.Err(), c.code)
		}
		if c.code == "" && (r.Levels["build"] != "SLSA_BUILD_LEVEL_3" || r.Version != vt.Version || r.Project != vt.Project) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	o := verify.Options{TrustFile: w.TrustFile, Now: vt.Now}
	high := vt.Read(t, w.Release(t, func(d *vt.Draft) { d.Summary = func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_4"} } }), stage.SummaryBundle)
	if r, err := verify.ProjectSummary(file, []verify.Evidence{{Name: "V", Content: high}}, o); err != nil || gate.Code(r.Err()) != "vsa-level" {
		t.Errorf("a level that there is not: %v, %v", r, err)
	}
	low := vt.Read(t, w.Release(t, func(d *vt.Draft) { d.Summary = func(s *vt.Summary) { s.Levels = []string{"SLSA_BUILD_LEVEL_1"} } }), stage.SummaryBundle)
	o.MinLevel = 2
	if r, err := verify.ProjectSummary(file, []verify.Evidence{{Name: "V", Content: low}}, o); err != nil || gate.Code(r.Err()) != "vsa-level" {
		t.Errorf("a lower level than is asked for: %v, %v", r, err)
	}
	o.TrustFile = vt.NewWorld(t).TrustFile
	if _, err := verify.ProjectSummary(file, []verify.Evidence{{Name: "V", Content: bundle}}, o); gate.Code(err) != "trust-no-verifier" {
		t.Errorf("without a verifier: %v", err)
	}
}

// Other readers of the standard read what we write: in-toto's own types.
func TestSummaryIsInTotos(t *testing.T) {
	t.Parallel()
	w := vt.NewGateWorld(t)
	b, err := sign.ParseEnvelope(vt.Read(t, w.Release(t), stage.SummaryPlain))
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(b.Envelope.Payload, &s); err != nil {
		t.Fatal(err)
	}
	v := &vsa.VerificationSummary{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(s.Predicate, v); err != nil { // verifier.version is younger than the types
		t.Fatal(err)
	}
	if v.GetVerifier().GetId() != vt.VerifierID || v.GetVerificationResult() != "PASSED" || v.GetSlsaVersion() != "1.2" || v.GetTimeVerified().AsTime() != vt.Now.UTC() || len(v.GetInputAttestations()) != 1 || v.GetPolicy().GetDigest()["sha256"] == "" {
		t.Errorf("read as %v", v)
	}
}

// slsaVerifier gives the program, from SELLO_SLSA_VERIFIER or the PATH.
func slsaVerifier(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("SELLO_SLSA_VERIFIER"); program != "" {
		return program
	}
	program, err := exec.LookPath("slsa-verifier")
	if err != nil {
		t.Skip("slsa-verifier cannot be had from every module proxy: put it on the PATH, or name it in SELLO_SLSA_VERIFIER")
	}
	return program
}

// slsa-verifier accepts the plain form with the gate's public key, and refuses what is not so.
func TestSLSAVerifierAcceptsOurSummaries(t *testing.T) {
	t.Parallel()
	program := slsaVerifier(t)
	w := vt.NewGateWorld(t)
	dir := w.Release(t)
	failed := w.Release(t, func(d *vt.Draft) {
		d.Summary = func(s *vt.Summary) { s.Result, s.Levels = attest.Failed, []string{attest.Failed} }
	})
	key := func(name string) string {
		public, err := w.Keys[name].PublicPEM()
		if err != nil {
			t.Fatal(err)
		}
		vt.Write(t, dir, name+".pub", public)
		return filepath.Join(dir, name+".pub")
	}
	good := map[string]string{
		"--subject-digest": "sha256:" + digest.Bytes(vt.Read(t, dir, vt.Archive)), "--attestation-path": filepath.Join(dir, stage.SummaryPlain), "--verifier-id": vt.VerifierID,
		"--resource-uri": trust.Purl(vt.Source, vt.Project, vt.Version), "--verified-level": "SLSA_BUILD_LEVEL_3", "--public-key-path": key("gate"),
	}
	for name, c := range map[string]struct {
		change map[string]string
		good   bool
	}{
		"good":             {nil, true},
		"a lower level":    {map[string]string{"--verified-level": "SLSA_BUILD_LEVEL_2"}, true},
		"a higher level":   {map[string]string{"--verified-level": "SLSA_BUILD_LEVEL_4"}, false},
		"another key":      {map[string]string{"--public-key-path": key("first")}, false},
		"another file":     {map[string]string{"--subject-digest": "sha256:" + strings.Repeat("0", 64)}, false},
		"another verifier": {map[string]string{"--verifier-id": vt.VerifierID + "2"}, false},
		"another resource": {map[string]string{"--resource-uri": "pkg:generic/age@v0"}, false},
		"failed":           {map[string]string{"--attestation-path": filepath.Join(failed, stage.SummaryPlain)}, false},
	} {
		args := []string{"verify-vsa"}
		for flag, value := range good {
			if other, ok := c.change[flag]; ok {
				value = other
			}
			args = append(args, flag, value)
		}
		if err := run(t, program, nil, args...); (err == nil) != c.good {
			t.Errorf("%s: %v, want good: %v", name, err, c.good)
		}
	}
}

// cosign accepts the bundle for an artifact, and no other file or type.
func TestCosignAcceptsOurSummaries(t *testing.T) {
	t.Parallel()
	program := registrytest.Tool(t, "cosign")
	w := vt.NewGateWorld(t)
	dir := w.Release(t)
	public, err := w.Keys["gate"].PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	vt.Write(t, dir, "gate.pub", public)
	vt.Write(t, dir, "other", []byte("other"))
	for _, c := range []struct {
		typ, file string
		good      bool
	}{{attest.SummaryType, vt.Archive, true}, {attest.SummaryType, vt.Binary, true}, {attest.SummaryType, "other", false}, {attest.ProvenanceType, vt.Archive, false}} {
		err := run(t, program, nil, "verify-blob-attestation", "--type", c.typ, "--key", filepath.Join(dir, "gate.pub"), "--new-bundle-format", "--insecure-ignore-tlog", "--bundle", filepath.Join(dir, stage.SummaryBundle), filepath.Join(dir, c.file))
		if (err == nil) != c.good {
			t.Errorf("%s for %s: %v, want good: %v", c.typ, c.file, err, c.good)
		}
	}
}
