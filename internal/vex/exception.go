package vex

import (
	"context"
	"time"

	"github.com/sello-release/sello/internal/decision"
	"github.com/sello-release/sello/internal/sign"
	"github.com/sello-release/sello/internal/trust"
)

// BundleSuffix names the signature beside a document.
const BundleSuffix = decision.BundleSuffix

// Exception is who decided, and until when.
type Exception = decision.Decision

// Sign signs a document as an exception and gives the bundle.
func Sign(ctx context.Context, signer sign.Signer, name string, document []byte, e Exception) ([]byte, error) {
	if _, err := Parse(document, name); err != nil {
		return nil, err
	}
	return decision.Exception.Sign(ctx, signer, name, document, e)
}

// Judge says who decided what a document says. It refuses a signature that is no manager's, is over other bytes or about
// another project, or has expired.
func Judge(document, bundle []byte, t *trust.Trust, project string, now time.Time) (*Exception, error) {
	return decision.Exception.Judge(document, bundle, t, project, now)
}

// Unsigned refuses a document without a signature where one is needed.
func Unsigned(where string) error { return decision.Exception.Unsigned(where) }
