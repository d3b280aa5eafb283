package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// copyPart is how much one request copies inside a store. S3 takes at most 5 GiB and 10,000 parts.
const copyPart = 1 << 30

// abortTime bounds the clean-up after a copy that failed.
const abortTime = 30 * time.Second

// s3Provider is Amazon S3, and what speaks its protocol.
type s3Provider struct {
	url     *url.URL
	options s3blob.Options // as the URL has them; set by open
}

func (p *s3Provider) open(ctx context.Context) (*blob.Bucket, error) {
	opener := &s3blob.URLOpener{}
	parsed, err := opener.OpenBucketURL(ctx, p.url)
	if err != nil {
		return nil, err
	}
	var client *s3.Client
	if !parsed.As(&client) {
		return nil, errors.New("the S3 client has changed")
	}
	client = s3.New(client.Options(), func(o *s3.Options) {
		o.DisableLogOutputChecksumValidationSkipped = true // it would go to standard error; digests are compared here
	})
	p.options = opener.Options
	return s3blob.OpenBucket(ctx, client, p.url.Host, &p.options)
}

func (p *s3Provider) version(r *blob.Reader) string {
	var out s3.GetObjectOutput
	if !r.As(&out) {
		return ""
	}
	return aws.ToString(out.ETag)
}

func (p *s3Provider) onlyAt(version string) func(func(any) bool) error {
	return func(as func(any) bool) error {
		var in *transfermanager.UploadObjectInput
		if !as(&in) {
			return errors.New("the S3 client takes no condition")
		}
		in.IfMatch = aws.String(version)
		return nil
	}
}

func (p *s3Provider) copies() bool { return true }

// copy copies the parts of a multipart upload, which appears as a whole, under its condition, by the last request.
func (p *s3Provider) copy(ctx context.Context, c blobCopy) (err error) {
	var client *s3.Client
	if !c.to.As(&client) {
		return errors.New("the S3 client has changed")
	}
	create := &s3.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &c.key, ContentType: &c.contentType, ServerSideEncryption: p.options.EncryptionType}
	if p.options.KMSEncryptionID != "" {
		create.SSEKMSKeyId = &p.options.KMSEncryptionID
	}
	upload, err := client.CreateMultipartUpload(ctx, create)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
			defer cancel()
			_, _ = client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &c.key, UploadId: upload.UploadId})
		}
	}()
	source := strings.ReplaceAll(url.QueryEscape(c.source+"/"+c.srcKey), "+", "%20")
	var parts []types.CompletedPart
	for at := int64(0); at < c.size; at += copyPart {
		number := int32(len(parts) + 1)
		dog := watch(ctx)
		dog.start(writeTime)
		part, err := client.UploadPartCopy(dog.ctx, &s3.UploadPartCopyInput{
			Bucket: &c.bucket, Key: &c.key, UploadId: upload.UploadId, PartNumber: &number, CopySource: &source, CopySourceIfMatch: &c.version,
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", at, min(at+copyPart, c.size)-1)),
		})
		dog.stop()
		if err != nil {
			if p.cause(err) == causeCondition || p.cause(err) == causeAbsent {
				return errSourceChanged
			}
			return dog.why(err)
		}
		if part.CopyPartResult == nil {
			return errors.New("the store gives no ETag for a copied part")
		}
		parts = append(parts, types.CompletedPart{ETag: part.CopyPartResult.ETag, PartNumber: &number})
	}
	dog := watch(ctx)
	defer dog.stop()
	dog.start(writeTime)
	_, err = client.CompleteMultipartUpload(dog.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &c.bucket, Key: &c.key, UploadId: upload.UploadId, IfNoneMatch: aws.String("*"), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return dog.why(err)
}

// cause implements provider. See Amazon S3 API Reference, Error responses.
func (p *s3Provider) cause(err error) cause {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey": // not "NotFound", which the client makes of any web server's 404
			return causeAbsent
		case "NoSuchBucket":
			return causeNoBucket
		case "PreconditionFailed", "ConditionalRequestConflict":
			return causeCondition
		case "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "AllAccessDisabled",
			"XAdminUserNotFound": // versitygw's InvalidAccessKeyId
			return causeDenied
		}
	}
	var answered interface{ HTTPStatusCode() int }
	if errors.As(err, &answered) && answered.HTTPStatusCode() != 0 {
		return byStatus(answered.HTTPStatusCode())
	}
	text := err.Error()
	if strings.Contains(text, "checksum did not match") { // of a body, whose status was 200
		return causeDamaged
	}
	var region *aws.MissingRegionError
	if errors.As(err, &region) || strings.Contains(text, "get credentials") || strings.Contains(text, "Missing Region") || strings.Contains(text, "Invalid region") || strings.Contains(text, "failed to get shared config profile") {
		return causeNoIdentity
	}
	return causeOther
}

// doubtful: Amazon's own S3 keeps to conditions; behind another endpoint there may be anything.
func (p *s3Provider) doubtful() bool {
	return p.url.Query().Get("endpoint") != "" || os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != ""
}

func (p *s3Provider) access() string {
	return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN for temporary ones) or AWS_PROFILE, and AWS_REGION, in the environment"
}
