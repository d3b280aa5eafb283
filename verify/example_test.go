package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sello-release/sello/verify"
	vt "github.com/sello-release/sello/verify/verifytest"
)

// released makes the release that the example verifies, in a folder of its own.
func released() (file string, o verify.Options, done func()) {
	var b testing.B
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	w := vt.NewWorld(&b)
	w.ReleaseAt(&b, dir)
	return filepath.Join(dir, vt.Archive), options(w), func() { os.RemoveAll(dir) }
}

// Verifying takes the file, the bundle beside it and the project's trust file, and no network.
func ExampleFile() {
	file, options, done := released()
	defer done()
	report, err := verify.File(context.Background(), file, options)
	if err != nil {
		fmt.Println("could not be tried:", err)
		return
	}
	if err := report.Err(); err != nil {
		fmt.Println("refused:", err)
		return
	}
	fmt.Println(report.Verdict, report.Levels["build"], report.Version)
	for _, s := range report.SignOffs {
		fmt.Println("signed off by", s.Identity)
	}
	// Output:
	// accepted SLSA_BUILD_LEVEL_3 v1.4.2
	// signed off by first
	// signed off by second
}

// What others signed takes the bundle, the file's digests, the Sigstore instance's trusted root, and whom you trust.
func ExampleBundle() {
	var b testing.B
	w := vt.NewKeylessWorld(&b)
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	w.ReleaseAt(&b, dir)
	path := filepath.Join(dir, vt.Archive)

	file, err := verify.FileDigests(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	bundle, err := os.ReadFile(path + ".sigstore.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, subject := range []string{"build-service@age.example", "eve@age.example"} {
		report, err := verify.Bundle(bundle, file, verify.BundleOptions{
			TrustedRoot:   w.Sigstore.Root,
			Signers:       []verify.Signer{{Issuer: "https://accounts.example", Subject: subject}},
			PredicateType: "https://slsa.dev/provenance/v1",
			Now:           vt.Now,
		})
		if err != nil {
			fmt.Println("could not be tried:", err)
			return
		}
		fmt.Println(report.Verdict, report.Err())
	}
	// Output:
	// accepted <nil>
	// refused the signature is good, and by somebody who is not trusted here: expected eve@age.example by https://accounts.example, found build-service@age.example by https://accounts.example [no-trusted-signer]
}
