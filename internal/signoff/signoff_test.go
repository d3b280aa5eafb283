package signoff_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/signoff"
	"github.com/sello-release/sello/internal/trust"
	vt "github.com/sello-release/sello/verify/verifytest"
)

var stageDigest = "sha256:" + strings.Repeat("a", 64)

func policy(w *vt.World) signoff.Policy {
	return signoff.Policy{Stage: stageDigest, Project: vt.Project, Version: vt.Version, Trust: w.Trust, Now: vt.Now}
}

func by(t *testing.T, w *vt.World, who string, changes ...func(*attest.SignOff)) []byte {
	t.Helper()
	return w.SignOff(t, vt.SignOff{By: who, Change: func(s *attest.SignOff) {
		for _, change := range changes {
			change(s)
		}
	}}, stageDigest)
}

func rebuilt(s *attest.SignOff) { s.Rebuilt = true }

func TestEnough(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	e := signoff.Evaluate(map[string][]byte{"first": by(t, w, "first"), "second": by(t, w, "second", rebuilt)}, policy(w))
	if !e.OK() || e.Err("") != nil || e.Needed != 2 || e.Rebuilt != 1 || len(e.Refused) != 0 {
		t.Errorf("%+v", e)
	}
	if d := cmp.Diff([]string{"first", "second"}, e.Names()); d != "" {
		t.Error(d)
	}
	if s := e.Counted[1]; s.KeyID != w.Keys["second"].KeyID() || !s.Rebuilt || !s.Time.Equal(vt.Now.Add(-time.Hour)) {
		t.Errorf("%+v", s)
	}
}

// Each of these, beside one good sign-off, leaves the count at one, and is named with its reason.
func TestWhatDoesNotCount(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	provenance, err := attest.NewProvenance([]attest.Subject{{Name: "stage.json", Digest: map[string]string{"sha256": strings.Repeat("a", 64)}}}, attest.Provenance{
		BuildDefinition: attest.BuildDefinition{BuildType: attest.GoBuildType, ExternalParameters: attest.ExternalParameters{
			Source: attest.SourceParameter{URI: "git+" + vt.Source, Digest: map[string]string{"gitCommit": vt.Commit}}, EntryPoint: "sello.yaml"}},
		RunDetails: attest.RunDetails{Builder: attest.Builder{ID: vt.BuilderID}, Metadata: attest.Metadata{InvocationID: "1", StartedOn: vt.Now, FinishedOn: vt.Now}},
	})
	if err != nil {
		t.Fatal(err)
	}
	flipped := by(t, w, "second")
	flipped[strings.Index(string(flipped), `"payload": "`)+40] ^= 1
	otherSubject := func() []byte {
		st, err := attest.NewSignOff(attest.SignOff{Stage: "sha256:" + strings.Repeat("b", 64), Project: vt.Project, Version: vt.Version, Identity: "second", Role: trust.RoleManager,
			Time: vt.Now, Expires: vt.Now.Add(time.Hour), Trust: attest.Pinned{SHA256: w.Trust.Digest(), Version: 3}, ReleaseFile: attest.Pinned{SHA256: strings.Repeat("e", 64)}})
		if err != nil {
			t.Fatal(err)
		}
		st.Predicate.Stage = stageDigest // says one stage and has another as its subject
		return vt.Sign(t, w.Keys["second"], st)
	}
	tests := []struct {
		name, code, identity string
		bundle               []byte
	}{
		{"nothing", "bad-json", "", nil},
		{"garbage", "bad-json", "", []byte("{}{}")},
		{"changed", "", "", flipped},
		{"a stranger", "no-trusted-signer", "", by(t, w, "stranger")},
		{"a stranger in a manager's name", "no-trusted-signer", "", by(t, w, "stranger", func(s *attest.SignOff) { s.Identity = "second" })},
		{"an associate", "sign-off-not-manager", "newcomer", by(t, w, "newcomer")},
		{"a builder", "sign-off-not-manager", "build-service", by(t, w, "build-service")},
		{"an associate in a manager's name", "sign-off-not-manager", "newcomer", by(t, w, "newcomer", func(s *attest.SignOff) { s.Identity = "second" })},
		{"a manager in another's name", "sign-off-identity", "second", by(t, w, "second", func(s *attest.SignOff) { s.Identity = "third" })},
		{"a manager as an associate", "sign-off-not-manager", "second", by(t, w, "second", func(s *attest.SignOff) { s.Role = trust.RoleAssociate })},
		{"another stage", "sign-off-other-stage", "second", w.SignOff(t, vt.SignOff{By: "second"}, "sha256:"+strings.Repeat("b", 64))},
		{"another subject", "sign-off-other-stage", "second", otherSubject()},
		{"another version", "sign-off-other-version", "second", by(t, w, "second", func(s *attest.SignOff) { s.Version = "v1.4.3" })},
		{"another project", "sign-off-other-version", "second", by(t, w, "second", func(s *attest.SignOff) { s.Project = "evil" })},
		{"another release file", "sign-off-other-release-file", "second", by(t, w, "second", func(s *attest.SignOff) { s.ReleaseFile.SHA256 = strings.Repeat("f", 64) })},
		{"an older trust file", "sign-off-old-trust", "second", by(t, w, "second", func(s *attest.SignOff) { s.Trust = attest.Pinned{SHA256: strings.Repeat("0", 64), Version: 2} })},
		{"another trust file of this version", "sign-off-old-trust", "second", by(t, w, "second", func(s *attest.SignOff) { s.Trust.SHA256 = strings.Repeat("0", 64) })},
		{"the future", "sign-off-future", "second", by(t, w, "second", func(s *attest.SignOff) { s.Time = vt.Now.Add(time.Hour) })},
		{"expired", "sign-off-expired", "second", by(t, w, "second", func(s *attest.SignOff) { s.Expires = vt.Now })},
		{"the same manager", "sign-off-duplicate", "first", by(t, w, "first")},
		{"provenance", "wrong-predicate", "build-service", vt.Sign(t, w.Keys["build-service"], provenance)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy(w)
			p.ReleaseFile = strings.Repeat("e", 64)
			e := signoff.Evaluate(map[string][]byte{"a": by(t, w, "first"), "b": tt.bundle}, p)
			if e.OK() || len(e.Counted) != 1 || e.Counted[0].Identity != "first" || len(e.Refused) != 1 {
				t.Fatalf("%+v", e)
			}
			r := e.Refused[0]
			if tt.code != "" && r.Code != tt.code || r.Code == "" || r.Reason == "" || r.Name != "b" || r.Identity != tt.identity {
				t.Errorf("refused as %+v", r)
			}
			var ref *gate.Refusal
			if err := e.Err("sello sign-off x"); !errors.As(err, &ref) || ref.Code != "sign-off-missing" || ref.Class != gate.Waiting || !strings.Contains(ref.Actual, r.Code) {
				t.Errorf("%v", err)
			}
			// It does no harm either: another manager's good sign-off makes two.
			e = signoff.Evaluate(map[string][]byte{"a": by(t, w, "first"), "b": tt.bundle, "c": by(t, w, "third")}, p)
			if !e.OK() || len(e.Counted) != 2 {
				t.Errorf("a bad sign-off spoils good ones: %+v", e)
			}
		})
	}
}

// Somebody who has the next trust file already signs under it; who verifies with this one accepts that.
func TestNewerTrustFileCounts(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	newer := func(s *attest.SignOff) { s.Trust = attest.Pinned{SHA256: strings.Repeat("0", 64), Version: 4} }
	if e := signoff.Evaluate(map[string][]byte{"first": by(t, w, "first", newer), "second": by(t, w, "second")}, policy(w)); !e.OK() {
		t.Errorf("%+v", e)
	}
}

func TestThresholdsAreOnlyRaised(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	bundles := map[string][]byte{"first": by(t, w, "first"), "second": by(t, w, "second", rebuilt)}
	for _, tt := range []struct {
		managers, rebuilt, needed int
		ok                        bool
	}{{0, 0, 2, true}, {1, 0, 2, true}, {2, 1, 2, true}, {3, 0, 3, false}, {2, 2, 2, false}, {-5, -5, 2, true}} {
		p := policy(w)
		p.Managers, p.Rebuilt = tt.managers, tt.rebuilt
		if e := signoff.Evaluate(bundles, p); e.OK() != tt.ok || e.Needed != tt.needed {
			t.Errorf("managers %d, rebuilt %d: %+v", tt.managers, tt.rebuilt, e)
		}
	}
	p := policy(w)
	p.Rebuilt = 2
	err := signoff.Evaluate(bundles, p).Err("sello sign-off x")
	if fix := err.(*gate.Refusal).Fix; !strings.HasPrefix(fix, "sello sign-off x --rebuild --as ") || !strings.Contains(fix, "first") {
		t.Errorf("%v", err)
	}
}

// Of two sign-offs by one manager the one with a rebuild counts, whatever they are called.
func TestRebuildIsPreferred(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		e := signoff.Evaluate(map[string][]byte{names[0]: by(t, w, "first"), names[1]: by(t, w, "first", rebuilt)}, policy(w))
		if e.Rebuilt != 1 || len(e.Counted) != 1 || e.Counted[0].Name != names[1] || e.Refused[0].Code != "sign-off-duplicate" {
			t.Errorf("%+v", e)
		}
	}
}

func TestReleasedIsJudgedAsOfThen(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t)
	bundles := map[string][]byte{
		"first":  by(t, w, "first", func(s *attest.SignOff) { s.Trust = attest.Pinned{SHA256: strings.Repeat("0", 64), Version: 2} }),
		"second": by(t, w, "second"),
	}
	p := policy(w)
	p.Now = vt.Now.AddDate(0, 3, 0)
	if e := signoff.Evaluate(bundles, p); e.OK() || len(e.Counted) != 0 {
		t.Errorf("as of now: %+v", e)
	}
	p.Released = true
	if e := signoff.Evaluate(bundles, p); !e.OK() {
		t.Errorf("as of then: %+v", e)
	}
	never := map[string][]byte{"first": by(t, w, "first", func(s *attest.SignOff) { s.Time, s.Expires = vt.Now.Add(-48*time.Hour), vt.Now.Add(-47*time.Hour) }), "second": by(t, w, "second")}
	if e := signoff.Evaluate(never, p); e.OK() {
		t.Errorf("two sign-offs that never held at one time: %+v", e)
	}
}

func TestIdentityOutOfItsTime(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t, func(t *trust.Trust) {
		t.Identities["second"] = trust.Identity{Key: t.Identities["second"].Key, Expires: "2026-11-20"}
		t.Identities["third"] = trust.Identity{Key: t.Identities["third"].Key, NotBefore: "2026-11-22"}
	})
	e := signoff.Evaluate(map[string][]byte{"second": by(t, w, "second"), "third": by(t, w, "third")}, policy(w))
	if len(e.Counted) != 0 || e.Refused[0].Code != "trust-identity-expired" || e.Refused[1].Code != "trust-identity-early" {
		t.Errorf("%+v", e)
	}
}

// The order of files decides nothing, and no pile of bundles counts as two managers if one made them all.
func FuzzEvaluate(f *testing.F) {
	w := vt.NewWorld(f)
	k := w.Keys["first"]
	payload, err := attest.Canonical(map[string]any{})
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := sign.SignStatement(context.Background(), k, attest.PayloadType, payload)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bundle)
	f.Add(w.SignOff(f, vt.SignOff{By: "first"}, stageDigest))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := signoff.Evaluate(map[string][]byte{"a": data, "b": data}, policy(w))
		if e.OK() || len(e.Counted) > 1 || len(e.Counted)+len(e.Refused) != 2 {
			t.Errorf("%+v", e)
		}
	})
}

// A manager whose key stopped counting after signing off does not count at a gate that opens later.
func TestIdentityThatExpiredSince(t *testing.T) {
	t.Parallel()
	w := vt.NewWorld(t, func(t *trust.Trust) {
		t.Identities["second"] = trust.Identity{Key: t.Identities["second"].Key, Expires: "2026-11-21"}
	})
	bundles := map[string][]byte{"first": by(t, w, "first"), "second": by(t, w, "second")}
	p := policy(w)
	if e := signoff.Evaluate(bundles, p); !e.OK() {
		t.Errorf("on the last day: %+v", e)
	}
	p.Now = vt.Now.Add(13 * time.Hour)
	if e := signoff.Evaluate(bundles, p); e.OK() || len(e.Refused) != 1 || e.Refused[0].Code != "trust-identity-expired" {
		t.Errorf("on the day after: %+v", e)
	}
}
