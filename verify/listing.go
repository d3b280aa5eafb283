package verify

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sello-release/sello/internal/attest"
	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/signoff"
	"github.com/sello-release/sello/internal/stage"
)

// openStage reads stage.json; content is nil when there is none. It fills the report's project, version and stage digest.
func (v *verifier) openStage(f *findings, r *Report, content []byte) (list *stage.Stage, ok bool) {
	ok = f.chain(Check{Subject: stage.FileName, Where: stage.FileName},
		step{"stage-missing", func(*Check) error {
			if content != nil {
				return nil
			}
			return &gate.Refusal{Code: "stage-missing", What: "there is no stage.json, which lists what belongs to the release", Expected: stage.FileName,
				Fix: "give the folder of one release, and download it whole"}
		}},
		step{"stage-not-canonical", func(c *Check) (err error) {
			list, err = stage.Decode(content)
			c.Actual = stage.Digest(content)
			return err
		}},
		step{"project-mismatch", func(c *Check) error {
			return equal(c, "project-mismatch", "the release is of another project than the trust file", v.trust.Project, list.Project)
		}},
		step{"release-version-mismatch", func(c *Check) error {
			return equal(c, "release-version-mismatch", "the release is another version than the one wanted", cmp.Or(v.Version, list.Version), list.Version)
		}},
		step{"source-mismatch", func(c *Check) error {
			c.Expected, c.Actual = v.trust.Source, list.Source.URI
			if sourceMatches(v.trust.Source, list.Source.URI, list.Version) {
				return nil
			}
			return equal(c, "source-mismatch", "the release is of another source than the trust file's", v.trust.Source, list.Source.URI)
		}},
	)
	if !ok {
		return nil, false
	}
	r.Project, r.Version, r.Stage = list.Project, list.Version, stage.Digest(content)
	return list, true
}

func equal(c *Check, code, what, want, got string) error {
	c.Expected, c.Actual = want, got
	if want == got {
		return nil
	}
	return &gate.Refusal{Code: code, What: what, Expected: want, Actual: got, Fix: "do not use it: verify with the trust file of the project that it comes from, and ask for the version that you want"}
}

// openStatement reads the release statement: the builder's word on what the release consists of. It gives the
// SHA-256 of each file by name.
func (v *verifier) openStatement(f *findings, content []byte, proofs [][]byte, list *stage.Stage) (files map[string]string, ok bool) {
	var bundle *sign.Bundle
	var payload []byte
	var statement *attest.Statement[attest.Release]
	ok = f.chain(Check{Subject: stage.ReleaseBundle, Where: stage.ReleaseBundle},
		step{"release-statement-missing", func(*Check) error {
			if content != nil {
				return nil
			}
			return &gate.Refusal{Code: "release-statement-missing", What: "nothing says that this was released, and of which files the release consists", Expected: stage.ReleaseBundle,
				Fix: "download the release whole; if it has no " + stage.ReleaseBundle + ", it is promoted and not released yet"}
		}},
		step{"bad-json", func(*Check) (err error) { bundle, err = sign.ParseBundle(content); return err }},
		step{"no-trusted-signer", func(c *Check) (err error) { c.Actual, payload, err = v.builders.Verify(bundle); return err }},
		step{"wrong-predicate", func(*Check) (err error) {
			statement, err = attest.Decode[attest.Release](payload, attest.ReleaseType)
			return err
		}},
		step{"release-version-mismatch", func(c *Check) error {
			return purlVersion(c, statement.Predicate.Purl, v.wanted(list))
		}},
		step{"release-name-twice", func(*Check) (err error) {
			if files, err = byName(statement.Subject); err != nil {
				return err
			}
			return asStaged(statement.Subject, list)
		}},
	)
	return files, ok && v.logged(f, content, v.wanted(list), proofs)
}

func versionOf(list *stage.Stage) string {
	if list == nil {
		return ""
	}
	return list.Version
}

func purlVersion(c *Check, purl, want string) error {
	base, _, _ := strings.Cut(purl, "?")
	base, _, _ = strings.Cut(base, "#")
	at := strings.LastIndexByte(base, '@')
	got, err := url.PathUnescape(base[at+1:])
	if at < 0 || err != nil {
		got = ""
	}
	return equal(c, "release-version-mismatch", "the release statement is of another version", cmp.Or(want, got), got)
}

// byName indexes a release statement's files; a name twice could mean either.
func byName(subjects []attest.Subject) (map[string]string, error) {
	files := make(map[string]string, len(subjects))
	for _, s := range subjects {
		if _, twice := files[s.Name]; twice || s.Name == "" {
			return nil, &gate.Refusal{Code: "release-name-twice", What: "the release statement names a file twice, or not at all", Actual: fmt.Sprintf("%.200q", s.Name),
				Fix: "have the project release again"}
		}
		files[s.Name] = s.Digest["sha256"]
	}
	return files, nil
}

// asStaged holds that where a release statement has an artifact's SHA-256, it contradicts no other digest that stage.json has of it. That the
// SHA-256 is right is looked at file by file.
func asStaged(subjects []attest.Subject, list *stage.Stage) error {
	if list == nil {
		return nil
	}
	for _, s := range subjects {
		h := attest.Header{Subject: []attest.Subject{s}}
		known := subject{sha256: s.Digest["sha256"], artifact: list.Find(s.Name)}.digests()
		if len(s.Digest) > 1 && !h.Matches(known) {
			return otherDigest(&h, known)
		}
	}
	return nil
}

// listed makes the checks of one file against the release statement.
func listed(f *findings, name, sha256 string, present bool, files map[string]string) {
	f.chain(Check{Subject: name, Where: name},
		step{"release-file-missing", func(*Check) error {
			if present {
				return nil
			}
			return missing(name, "the release statement")
		}},
		step{"release-file-extra", func(*Check) error {
			if _, ok := files[name]; ok {
				return nil
			}
			return extra(name, "the release statement")
		}},
		step{"subject-mismatch", func(c *Check) error {
			c.Expected, c.Actual = "sha256:"+files[name], "sha256:"+sha256
			if files[name] == sha256 {
				return nil
			}
			return &gate.Refusal{Code: "subject-mismatch", What: "the file was changed after the release", Expected: c.Expected, Actual: c.Actual,
				Fix: "do not use this file: it is not what was released; download it again from the project"}
		}})
}

func missing(name, from string) error {
	return &gate.Refusal{Code: "release-file-missing", What: from + " names a file that is not here", Where: name, Expected: name, Actual: "no such file", Fix: "download the release whole"}
}

func extra(name, from string) error {
	return &gate.Refusal{Code: "release-file-extra", What: "a file is here that " + from + " does not name", Where: name, Expected: "no such file", Actual: name,
		Fix: "do not use this file: it does not belong to the release; remove it"}
}

// artifact makes the checks of one artifact against stage.json.
func (s subject) againstStage(f *findings, size int64, present bool) bool {
	return f.chain(Check{Subject: s.name, Where: s.name},
		step{"stage-artifact-unlisted", func(*Check) error {
			if s.artifact != nil {
				return nil
			}
			return &gate.Refusal{Code: "stage-artifact-unlisted", What: "stage.json does not list this file", Expected: "one of the release's files", Actual: s.name,
				Fix: "to verify a file by itself, move it and its bundle out of the release's folder; if it claims to be of this release, do not use it"}
		}},
		step{"release-file-missing", func(*Check) error {
			if present {
				return nil
			}
			return missing(s.name, stage.FileName)
		}},
		step{"stage-artifact-mismatch", func(c *Check) error {
			c.Expected, c.Actual = fmt.Sprintf("sha256:%s, %d bytes", s.artifact.SHA256, s.artifact.Size), fmt.Sprintf("sha256:%s, %d bytes", s.sha256, size)
			if c.Expected == c.Actual {
				return nil
			}
			return &gate.Refusal{Code: "stage-artifact-mismatch", What: "the file is not the one that was staged and signed off", Expected: c.Expected, Actual: c.Actual,
				Fix: "do not use this file; download it again from the project"}
		}})
}

// judgeSignOffs counts the managers' sign-offs over the stage.
func (v *verifier) judgeSignOffs(f *findings, r *Report, list *stage.Stage, bundles map[string][]byte, released bool) {
	e := signoff.Evaluate(bundles, signoff.Policy{Stage: r.Stage, Project: list.Project, Version: list.Version, Trust: v.trust, Now: v.Now,
		Managers: v.Managers, Rebuilt: v.Rebuilt, Released: released})
	for _, s := range e.Counted {
		at := s.Time
		r.SignOffs = append(r.SignOffs, SignOff{Name: s.Name, Identity: s.Identity, KeyID: s.KeyID, Counted: true, Rebuilt: s.Rebuilt, Time: &at})
	}
	for _, s := range e.Refused {
		r.SignOffs = append(r.SignOffs, SignOff{Name: s.Name, Identity: s.Identity, Code: s.Code, Reason: s.Reason})
	}
	if v.SkipSignOffs {
		f.skip("sign-off-missing", r.Stage, "not asked for")
		return
	}
	fix := "sello sign-off releases/" + list.Version + ".yaml"
	if released { // nothing is added to it any more
		fix = "if this trust file asks for more sign-offs than the one that the release was made with, verify with that: git show " + list.Version + ":trust.yaml; else do not use the release"
	}
	f.chain(Check{Subject: r.Stage, Where: stage.SignOffFolder}, step{"sign-off-missing", func(c *Check) error {
		c.Expected = fmt.Sprintf("%d release managers, %d of them with a rebuild", e.Needed, e.NeededRebuilt)
		c.Actual = fmt.Sprintf("%d: %s; %d with a rebuild", len(e.Counted), strings.Join(e.Names(), ", "), e.Rebuilt)
		err := e.Err(fix)
		var r *gate.Refusal
		if released && errors.As(err, &r) { // nobody waits for a manager any more
			own := *r
			own.Class, own.Fix = gate.Refused, fix
			return &own
		}
		return err
	}})
}

// onlyListed keeps the sign-offs that a release statement names by their digests.
func onlyListed(bundles map[string][]byte, files map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for name, data := range bundles {
		if files[stage.SignOffFolder+"/"+name+stage.BundleSuffix] == digest.Bytes(data) {
			out[name] = data
		}
	}
	return out
}
