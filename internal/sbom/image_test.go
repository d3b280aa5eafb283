package sbom_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sello-release/sello/internal/sbom"
)

var bookworm = sbom.Distro{ID: "debian", Version: "12"}

// images are one image for two platforms, on a base with packages and a program.
func images(t testing.TB) []sbom.Image {
	t.Helper()
	var out []sbom.Image
	for _, arch := range []string{"amd64", "arm64"} {
		helper := program(t, "usr/bin/helper")
		helper.SHA256 = sums("helper " + arch).SHA256
		out = append(out, sbom.Image{
			Name: "registry.example/team/program", Platform: "linux/" + arch, Manifest: sums("manifest " + arch).SHA256,
			Base: "registry.example/base/static", BaseDigest: sums("base " + arch).SHA256,
			Layers: []sbom.Layer{{SHA256: sums("libc " + arch).SHA256, Base: true}, {SHA256: sums("zones").SHA256, Base: true},
				{SHA256: sums("program layer " + arch).SHA256}, {SHA256: sums("licences").SHA256}},
			Files:    []sbom.File{hashed("usr/bin/program", "program for "+arch), hashed("licenses/LICENSE", "licence")},
			Binaries: []sbom.Binary{program(t, "usr/bin/program")},
			Packages: []sbom.OSPackage{
				{Type: "deb", Name: "libc6", Version: "2.36-9+deb12u10", Arch: arch, Source: "glibc", Distro: bookworm},
				{Type: "deb", Name: "tzdata", Version: "2025b-0+deb12u1", Arch: "all", Distro: bookworm},
				{Type: "apk", Name: "musl", Version: "1.2.5-r9", Arch: "x86_64", License: "MIT", Distro: sbom.Distro{ID: "alpine", Version: "3.22.1"}},
				{Type: "rpm", Name: "bash", Version: "5.1.8-9.el9", Epoch: "1", Arch: "x86_64", Source: "bash-5.1.8-9.el9.src.rpm", License: "GPLv3+",
					Distro: sbom.Distro{ID: "rhel", Version: "9.6"}},
				{Unread: "The base has a database that is not read: var/lib/rpm/Packages"},
			},
			BaseBinaries: []sbom.Binary{helper},
		})
	}
	return out
}

func forImage(t testing.TB, in sbom.Image) []byte {
	t.Helper()
	doc, err := inImage(meta, in, graph)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func forIndex(t testing.TB, ins []sbom.Image) []byte {
	t.Helper()
	doc, err := inIndex(meta, "registry.example/team/program", sums("index").SHA256, ins, graph)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestImageDocuments(t *testing.T) {
	t.Parallel()
	scratch := images(t)[0]
	scratch.Base, scratch.BaseDigest, scratch.Layers, scratch.Packages, scratch.BaseBinaries = "", "", scratch.Layers[2:], nil, nil
	for name, doc := range map[string][]byte{"image": forImage(t, images(t)[0]), "scratch": forImage(t, scratch), "index": forIndex(t, images(t))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			valid(t, doc)
			golden(t, name+".spdx.json", doc)
		})
	}
}

func TestImageRelationships(t *testing.T) {
	t.Parallel()
	const name, base = "registry.example/team/program", "registry.example/base/static"
	layer := func(content string) string { return "sha256:" + sums(content).SHA256 }
	got := relations(t, forImage(t, images(t)[0]))
	for _, want := range []string{
		"DOCUMENT DESCRIBES " + name,
		name + " GENERATED_FROM program source",
		name + " DESCENDANT_OF " + base,
		name + " CONTAINS " + layer("libc amd64"), name + " CONTAINS " + layer("zones"), name + " CONTAINS " + layer("program layer amd64"),
		base + " CONTAINS " + layer("libc amd64"), base + " CONTAINS " + layer("zones"),
		name + " CONTAINS ./usr/bin/program", name + " CONTAINS ./licenses/LICENSE",
		"./usr/bin/program CONTAINS example.com/a", "./usr/bin/program CONTAINS stdlib",
		base + " CONTAINS libc6", base + " CONTAINS tzdata", base + " CONTAINS musl", base + " CONTAINS bash",
		base + " CONTAINS usr/bin/helper", "usr/bin/helper CONTAINS example.com/a", "toolchain BUILD_TOOL_OF usr/bin/helper",
	} {
		if !got[want] {
			t.Errorf("no %q", want)
		}
	}
	for _, wrong := range []string{base + " CONTAINS " + layer("program layer amd64"), name + " CONTAINS libc6", base + " CONTAINS ./usr/bin/program"} {
		if got[wrong] {
			t.Errorf("found %q", wrong)
		}
	}
	got = relations(t, forIndex(t, images(t)))
	if !got[name+" VARIANT_OF "+name] || !got["DOCUMENT DESCRIBES "+name] {
		t.Error("no image is a variant of the index")
	}
}

func TestImagePurls(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range read(t, forIndex(t, images(t))).Packages {
		if purl := reference(p, "purl"); purl != "" && !strings.HasPrefix(purl, "pkg:golang/") {
			got = append(got, purl)
		}
	}
	slices.Sort(got)
	oci := func(name, content, rest string) string {
		return "pkg:oci/" + name + "@sha256:" + sums(content).SHA256 + "?" + rest
	}
	want := []string{
		"pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.22.1",
		"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc",
		"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=arm64&distro=debian-12&upstream=glibc",
		"pkg:deb/debian/tzdata@2025b-0%2Bdeb12u1?arch=all&distro=debian-12",
		"pkg:rpm/rhel/bash@5.1.8-9.el9?arch=x86_64&distro=rhel-9.6&epoch=1&upstream=bash-5.1.8-9.el9.src.rpm",
		oci("program", "index", "repository_url=registry.example%2Fteam%2Fprogram"),
		oci("program", "manifest amd64", "arch=amd64&repository_url=registry.example%2Fteam%2Fprogram"),
		oci("program", "manifest arm64", "arch=arm64&repository_url=registry.example%2Fteam%2Fprogram"),
		oci("static", "base amd64", "arch=amd64&repository_url=registry.example%2Fbase%2Fstatic"),
		oci("static", "base arm64", "arch=arm64&repository_url=registry.example%2Fbase%2Fstatic"),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("purls (-want +got):\n%s", diff)
	}
}

func TestWhatIsKnownOfTheBase(t *testing.T) {
	t.Parallel()
	for _, p := range read(t, forImage(t, images(t)[0])).Packages {
		switch p.PackageName {
		case "musl":
			if p.PackageLicenseDeclared != "MIT" || p.PackageLicenseConcluded != "NOASSERTION" {
				t.Errorf("musl's licence is %q", p.PackageLicenseDeclared)
			}
		case "bash":
			if p.PackageLicenseDeclared != "NOASSERTION" || !strings.Contains(p.PackageLicenseComments, "GPLv3+") {
				t.Errorf("bash's licence is %q, %q", p.PackageLicenseDeclared, p.PackageLicenseComments)
			}
		case "registry.example/base/static":
			if !strings.Contains(p.PackageComment, "not read: var/lib/rpm/Packages") {
				t.Errorf("nothing says what was not read: %q", p.PackageComment)
			}
		case "usr/bin/helper":
			if p.PackageVersion != "" || strings.Contains(reference(p, "purl"), meta.Version) {
				t.Errorf("the base's program has the release's version: %+v", p)
			}
		}
	}
}

func TestIndexHasEverythingOnce(t *testing.T) {
	t.Parallel()
	doc := read(t, forIndex(t, images(t)))
	count := map[string]int{}
	for _, p := range doc.Packages {
		count[p.PackageName]++
	}
	for _, f := range doc.Files {
		count[f.FileName]++
	}
	for name, want := range map[string]int{"tzdata": 1, "libc6": 2, "musl": 1, "stdlib": 1, "example.com/a": 1, "./licenses/LICENSE": 1, "./usr/bin/program": 2,
		"registry.example/team/program": 3, "registry.example/base/static": 2, "sha256:" + sums("zones").SHA256: 1} {
		if count[name] != want {
			t.Errorf("%s is in the document %d times, not %d", name, count[name], want)
		}
	}
}

func TestSameImageBytesInAnyOrder(t *testing.T) {
	t.Parallel()
	want := forIndex(t, images(t))
	for range 20 {
		ins := images(t)
		shuffle(ins)
		for i := range ins {
			shuffle(ins[i].Layers)
			shuffle(ins[i].Files)
			shuffle(ins[i].Packages)
			shuffle(ins[i].Binaries[0].Deps)
		}
		if !bytes.Equal(forIndex(t, ins), want) {
			t.Fatal("the order of the input shows")
		}
	}
}

func TestRefusesImagesThatCannotBeDescribed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(in *sbom.Image){
		"no name":               func(in *sbom.Image) { in.Name = "" },
		"no manifest":           func(in *sbom.Image) { in.Manifest = "sha256:" + in.Manifest },
		"no platform":           func(in *sbom.Image) { in.Platform = "" },
		"no digest of the base": func(in *sbom.Image) { in.BaseDigest = "" },
		"layer without digest":  func(in *sbom.Image) { in.Layers[0].SHA256 = "x" },
		"parts without a base":  func(in *sbom.Image) { in.Base, in.BaseDigest, in.Layers = "", "", nil },
		"layer without a base": func(in *sbom.Image) {
			*in = sbom.Image{Name: in.Name, Manifest: in.Manifest, Platform: in.Platform, Layers: in.Layers}
		},
		"file twice":             func(in *sbom.Image) { in.Files = append(in.Files, in.Files[0]) },
		"file without SHA-1":     func(in *sbom.Image) { in.Files[0].SHA1 = "" },
		"program not a file":     func(in *sbom.Image) { in.Binaries[0].Name = "elsewhere" },
		"program twice":          func(in *sbom.Image) { in.Binaries = append(in.Binaries, in.Binaries[0]) },
		"base's program twice":   func(in *sbom.Image) { in.BaseBinaries = append(in.BaseBinaries, in.BaseBinaries[0]) },
		"base's program's sum":   func(in *sbom.Image) { in.BaseBinaries[0].Deps[0].Sum = "h1:forged" },
		"base's program's name":  func(in *sbom.Image) { in.BaseBinaries[0].Name = "a\nb" },
		"package of no type":     func(in *sbom.Image) { in.Packages[0].Type = "exe" },
		"package of no version":  func(in *sbom.Image) { in.Packages[0].Version = "" },
		"package with a control": func(in *sbom.Image) { in.Packages[0].Source = "\x1b[2J" },
		"control in a finding":   func(in *sbom.Image) { in.Packages[4].Unread = "\x1b[2J" },
	} {
		in := images(t)[0]
		spoil(&in)
		if doc, err := inImage(meta, in, graph); err == nil {
			t.Errorf("%s: described as %d bytes", name, len(doc))
		}
	}
	same := images(t)
	same[1].Platform = same[0].Platform
	other := images(t)
	other[1].Name = "registry.example/team/other"
	for name, ins := range map[string][]sbom.Image{"platform twice": same, "another image": other} {
		if _, err := inIndex(meta, "registry.example/team/program", sums("index").SHA256, ins, graph); err == nil {
			t.Errorf("%s: described", name)
		}
	}
	if _, err := inIndex(meta, "registry.example/team/program", "", images(t), graph); err == nil {
		t.Error("described an index without a digest")
	}
}
