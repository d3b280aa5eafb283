package store

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azureobject "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
)

// azureProvider is Azure Blob Storage.
type azureProvider struct{ url *url.URL }

func (p *azureProvider) open(ctx context.Context) (*blob.Bucket, error) {
	options := azureblob.NewDefaultServiceURLOptions()
	if options.SASToken != "" && len(p.url.Query()) > 0 {
		return nil, errors.New("options in the URL could send AZURE_STORAGE_SAS_TOKEN elsewhere; give them as AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_PROTOCOL, AZURE_STORAGE_IS_LOCAL_EMULATOR")
	}
	opener := &azureblob.URLOpener{MakeClient: azureblob.NewDefaultClient, ServiceURLOptions: *options}
	return opener.OpenBucketURL(ctx, p.url)
}

func (p *azureProvider) version(r *blob.Reader) string {
	var out azureobject.DownloadStreamResponse
	if !r.As(&out) || out.ETag == nil {
		return ""
	}
	return string(*out.ETag)
}

func (p *azureProvider) onlyAt(version string) func(func(any) bool) error {
	return func(as func(any) bool) error {
		var o *azblob.UploadStreamOptions
		if !as(&o) {
			return errors.New("the Azure client takes no condition")
		}
		tag := azcore.ETag(version)
		o.AccessConditions = &azblob.AccessConditions{ModifiedAccessConditions: &azureobject.ModifiedAccessConditions{IfMatch: &tag}}
		return nil
	}
}

func (p *azureProvider) copies() bool { return false }

func (p *azureProvider) copy(context.Context, blobCopy) error { return errors.ErrUnsupported }

// cause implements provider. See Azure Storage, Blob service error codes.
func (p *azureProvider) cause(err error) cause {
	var api *azcore.ResponseError
	if errors.As(err, &api) {
		switch bloberror.Code(api.ErrorCode) {
		case bloberror.BlobNotFound:
			return causeAbsent
		case bloberror.ContainerNotFound:
			return causeNoBucket
		case bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.TargetConditionNotMet:
			return causeCondition
		}
		return byStatus(api.StatusCode)
	}
	if err != nil && (strings.Contains(err.Error(), "AccountName is required") || strings.Contains(err.Error(), "DefaultAzureCredential")) {
		return causeNoIdentity
	}
	return causeOther
}

func (p *azureProvider) doubtful() bool { return false }

func (p *azureProvider) access() string {
	return "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN in the environment, or az login"
}
