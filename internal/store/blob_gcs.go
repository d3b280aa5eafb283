package store

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/gcp"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
)

// gcsProvider is Google Cloud Storage.
type gcsProvider struct{ url *url.URL }

// open does what gcsblob's own opener does, which writes warnings to standard output.
func (p *gcsProvider) open(ctx context.Context) (*blob.Bucket, error) {
	client := gcp.NewAnonymousHTTPClient(gcp.DefaultTransport())
	if p.url.Query().Get("anonymous") != "true" && os.Getenv("STORAGE_EMULATOR_HOST") == "" {
		credentials, err := gcp.DefaultCredentials(context.WithoutCancel(ctx)) // its tokens outlive this call
		if err != nil {
			return nil, err
		}
		if client, err = gcp.NewHTTPClient(gcp.DefaultTransport(), gcp.CredentialsTokenSource(credentials)); err != nil {
			return nil, err
		}
	}
	return gcsblob.OpenBucket(context.WithoutCancel(ctx), client, p.url.Host, nil)
}

func (p *gcsProvider) version(r *blob.Reader) string {
	var object *storage.Reader
	if !r.As(&object) || object.Attrs.Generation == 0 {
		return ""
	}
	return strconv.FormatInt(object.Attrs.Generation, 10)
}

func (p *gcsProvider) onlyAt(version string) func(func(any) bool) error {
	return func(as func(any) bool) error {
		var object **storage.ObjectHandle
		generation, err := strconv.ParseInt(version, 10, 64)
		if err != nil || !as(&object) {
			return errors.New("the Google client takes no condition")
		}
		*object = (*object).If(storage.Conditions{GenerationMatch: generation})
		return nil
	}
}

func (p *gcsProvider) copies() bool { return true }

func (p *gcsProvider) copy(ctx context.Context, c blobCopy) error {
	var client *storage.Client
	generation, err := strconv.ParseInt(c.version, 10, 64)
	if err != nil || !c.to.As(&client) {
		return errors.New("the Google client takes no generation")
	}
	to := client.Bucket(c.bucket).Object(c.key).If(storage.Conditions{DoesNotExist: true})
	from := client.Bucket(c.source).Object(c.srcKey).Generation(generation)
	copier := to.CopierFrom(from)
	copier.ContentType = c.contentType
	dog := watch(ctx)
	defer dog.stop()
	dog.start(writeTime)
	copier.ProgressFunc = func(uint64, uint64) { dog.start(writeTime) }
	if _, err = copier.Run(dog.ctx); p.cause(err) == causeAbsent {
		return errSourceChanged
	}
	return dog.why(err)
}

// cause implements provider. See Cloud Storage, HTTP status and error codes for JSON.
func (p *gcsProvider) cause(err error) cause {
	if err == nil {
		return causeOther
	}
	var api *googleapi.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.Is(err, storage.ErrObjectNotExist):
		return causeAbsent
	case errors.Is(err, storage.ErrBucketNotExist):
		return causeNoBucket
	case errors.As(err, &api):
		if api.Code == http.StatusNotFound {
			return causeNoBucket
		}
		return byStatus(api.Code)
	case errors.As(err, &token), strings.Contains(err.Error(), "could not find default credentials"):
		return causeNoIdentity
	}
	return causeOther
}

func (p *gcsProvider) doubtful() bool { return false }

func (p *gcsProvider) access() string {
	return "GOOGLE_APPLICATION_CREDENTIALS in the environment, or gcloud auth application-default login"
}
