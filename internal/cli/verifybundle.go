package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sello-release/sello/internal/digest"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/verify"
)

func (a *app) verifyBundleCommand() *cobra.Command {
	var bundle, key, root, predicate string
	var signer verify.Signer
	var staging bool
	cmd := &cobra.Command{
		Use:   "verify-bundle FILE|sha256:DIGEST",
		Short: "Verify a Sigstore bundle that others made, offline",
		Long: `Verify-bundle checks a file, or its digest, against a Sigstore bundle of any
project: who signed, that the certificate, the time and the transparency log are
what the trusted root vouches for, and that the bundle is about this file. No
trust file and no network are needed; the trusted root is the Sigstore instance's
trusted_root.json. A refusal has exit code 3, and says who did sign.

For a certificate, --trusted-root, --certificate-identity and
--certificate-oidc-issuer are needed. docs/verifying.md shows it.

Issuer and subject are compared exactly; the --…-regexp flags take a regular
expression that has to match the whole. With --key, a public key takes the place
of the certificate; with --trusted-root besides, its log entry is asked for, too.`,
		Example: "  sello verify-bundle hello.tgz --bundle hello.tgz.sigstore.json --key key.pub",
		Args:    takes(1, 1, "FILE|sha256:DIGEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := verify.BundleOptions{PredicateType: predicate}
			if signer != (verify.Signer{}) {
				o.Signers = []verify.Signer{signer}
			}
			if bundle == "" {
				return usage("there is no bundle to verify with", "sello verify-bundle "+args[0]+" --bundle FILE")
			}
			if key == "" && root == "" {
				what := "there is no trusted root to judge certificates by"
				if staging {
					what = "the staging instance's trusted root is not part of Sello: nothing is downloaded"
				}
				return usage(what, "give the instance's trusted_root.json with --trusted-root")
			}
			for _, f := range []struct {
				path string
				into *[]byte
				most int64
			}{{key, &o.Key, 16 << 10}, {root, &o.TrustedRoot, sign.MaxRoot}} {
				if f.path == "" {
					continue
				}
				data, err := readSome(cmd.Context(), f.path, f.most)
				if err != nil {
					return err
				}
				*f.into = data
			}
			data, err := readSome(cmd.Context(), bundle, sign.MaxBundle)
			if err != nil {
				return err
			}
			file, err := digestsOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			report, err := verify.Bundle(data, file, o)
			if err != nil {
				return err
			}
			report.Artifact = args[0]
			if err := a.result(report, func() { a.showReport(report, false) }); err != nil {
				return err
			}
			return report.Err()
		},
	}
	f := cmd.Flags()
	f.StringVar(&bundle, "bundle", "", "the Sigstore bundle")
	f.StringVar(&signer.Subject, "certificate-identity", "", "e-mail address or URI that the certificate names")
	f.StringVar(&signer.Issuer, "certificate-oidc-issuer", "", "issuer that vouches for it")
	f.StringVar(&signer.SubjectPattern, "certificate-identity-regexp", "", "pattern of the whole e-mail address or URI")
	f.StringVar(&signer.IssuerPattern, "certificate-oidc-issuer-regexp", "", "pattern of the whole issuer")
	f.StringVar(&key, "key", "", "public key (PEM) that signed, instead of a certificate")
	f.StringVar(&root, "trusted-root", "", "the Sigstore instance's trusted_root.json")
	f.StringVar(&predicate, "type", "", "predicate type that the statement has to have")
	f.BoolVar(&staging, "staging", false, "the staging instance; its --trusted-root has to be given")
	_ = cmd.MarkFlagFilename("bundle", "json")
	_ = cmd.MarkFlagFilename("trusted-root", "json")
	return cmd
}

// digestsOf reads a file, or takes the digest that stands in its place.
func digestsOf(ctx context.Context, arg string) (verify.Digests, error) {
	if sum, ok := strings.CutPrefix(arg, "sha256:"); ok && digest.IsSHA256(sum) {
		return verify.Digests{"sha256": sum}, nil
	}
	file, err := awaited(ctx, func() (verify.Digests, error) { return verify.FileDigests(arg) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, usage(err.Error(), "give the path of a file, or sha256: and 64 lower-case hexadecimal digits")
	}
	return file, nil
}

// readSome reads a file as readUpTo, for a verb whose user named it.
func readSome(ctx context.Context, path string, most int64) ([]byte, error) {
	data, err := readUpTo(ctx, path, most)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, usage(err.Error(), "give the path of a file")
	}
	return data, nil
}

// readUpTo reads a file, and no more than one byte over what it may have: whoever parses it refuses it then.
func readUpTo(ctx context.Context, path string, most int64) ([]byte, error) {
	return awaited(ctx, func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, errors.New(path + " is a folder")
		}
		return io.ReadAll(io.LimitReader(f, most+1))
	})
}

// awaited waits for what reads a file, or for who interrupts it: a pipe may never say anything, and a device never end. What reads is left behind.
func awaited[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := read()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
