package store_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/store"
)

// TestGoogleConditions and TestAzureConditions hold, without these stores, that what must be refused is asked for as their
// references say, and that their refusals are understood.

func TestGoogleConditions(t *testing.T) {
	var conditions []string
	var whole sync.Map // requests that came to their end
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Store(r.URL.Path+r.URL.Query().Get("name"), true)
		}
		q := r.URL.Query()
		answer := func(status int, reason string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":%q}]}}`, status, reason, reason)
		}
		switch {
		case strings.Contains(r.URL.Path, "/upload/"):
			name := q.Get("name")
			conditions = append(conditions, q.Get("ifGenerationMatch"))
			switch {
			case name == "taken":
				answer(http.StatusPreconditionFailed, "conditionNotMet")
			case name == "denied":
				answer(http.StatusForbidden, "forbidden")
			case strings.Contains(r.URL.Path, "/b/absent/"):
				answer(http.StatusNotFound, "notFound")
			default:
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"name":"x","generation":"8"}`)
			}
		case strings.HasSuffix(r.URL.Path, "/x"):
			w.Header().Set("X-Goog-Generation", "7")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, "content")
		case strings.HasSuffix(r.URL.Path, "/denied"):
			answer(http.StatusForbidden, "forbidden")
		default:
			answer(http.StatusNotFound, "notFound")
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(server.URL, "http://"))
	b := open(t, "gs://bucket", "")
	refuses(t, b, open(t, "gs://absent", ""))
	whole.Range(func(name, _ any) bool {
		if strings.HasSuffix(name.(string), "half") {
			t.Errorf("half an object was sent as a whole: %v", name)
		}
		return true
	})
	_, _, version, err := b.(store.Swapper).GetVersion(context.Background(), "x")
	if err != nil || version != "7" {
		t.Errorf("version %q, %v", version, err)
	}
	conditions = nil
	swaps(t, b, version)
	if got := strings.Join(conditions, " "); got != "7 7 0" {
		t.Errorf("the conditions are %q", got)
	}
}

func TestAzureConditions(t *testing.T) {
	var conditions []string
	var whole sync.Map // requests that came to their end
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Store(r.URL.Path+r.URL.Query().Get("name"), true)
		}
		answer := func(status int, code string) {
			w.Header().Set("x-ms-error-code", code)
			w.WriteHeader(status)
		}
		switch {
		case strings.Contains(r.URL.Path, "/absent"):
			answer(http.StatusNotFound, "ContainerNotFound")
		case strings.HasSuffix(r.URL.Path, "/denied"):
			answer(http.StatusForbidden, "AuthorizationPermissionMismatch")
		case r.Method == http.MethodPut:
			conditions = append(conditions, r.Header.Get("If-Match")+r.Header.Get("If-None-Match"))
			switch {
			case !strings.HasSuffix(r.URL.Path, "/taken"):
				w.WriteHeader(http.StatusCreated)
			case r.Header.Get("If-None-Match") == "*":
				answer(http.StatusConflict, "BlobAlreadyExists")
			default:
				answer(http.StatusPreconditionFailed, "ConditionNotMet")
			}
		case strings.HasSuffix(r.URL.Path, "/x"):
			w.Header().Set("ETag", `"0x7"`)
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, "content")
		default:
			answer(http.StatusNotFound, "BlobNotFound")
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("AZURE_STORAGE_ACCOUNT", "account")
	t.Setenv("AZURE_STORAGE_KEY", base64.StdEncoding.EncodeToString([]byte("hidden-secret-key")))
	t.Setenv("AZURE_STORAGE_DOMAIN", strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("AZURE_STORAGE_PROTOCOL", "http")
	for _, name := range []string{"AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING"} {
		t.Setenv(name, "")
	}
	b := open(t, "azblob://container", "")
	refuses(t, b, open(t, "azblob://absent", ""))
	whole.Range(func(name, _ any) bool {
		if strings.HasSuffix(name.(string), "half") {
			t.Errorf("half an object was sent as a whole: %v", name)
		}
		return true
	})
	_, _, version, err := b.(store.Swapper).GetVersion(context.Background(), "x")
	if err != nil || version != `"0x7"` {
		t.Errorf("version %q, %v", version, err)
	}
	conditions = nil
	swaps(t, b, version)
	if got := strings.Join(conditions, " "); got != `"0x7" "0x7" *` {
		t.Errorf("the conditions are %q", got)
	}
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sig=hidden-secret")
	if _, _, err := open(t, "azblob://container?storage_account=evil", "").Get(context.Background(), "x"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("a token that could go elsewhere: %v", err)
	}
}

// refuses holds how a store's answers are understood: taken is there, denied may not be touched, and the rest of b is free.
func refuses(t *testing.T, b, absent store.Bucket) {
	t.Helper()
	ctx, exclusive := context.Background(), store.PutOptions{Exclusive: true}
	put := func(b store.Bucket, name string) error {
		return b.Put(ctx, name, strings.NewReader("content"), exclusive)
	}
	if err := put(b, "free"); err != nil {
		t.Error(err)
	}
	if err := put(b, "taken"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := put(b, "denied"); gate.Code(err) != "store-permission" {
		t.Errorf("denied: %v", err)
	}
	if err := put(absent, "x"); gate.Code(err) != "store-bucket-missing" {
		t.Errorf("a missing bucket: %v", err)
	}
	broken := errors.New("the source broke")
	half := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if err := b.Put(ctx, "half", half, exclusive); !errors.Is(err, broken) {
		t.Errorf("half an object: %v", err)
	}
	if _, _, err := b.Get(ctx, "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	if _, _, err := b.Get(ctx, "denied"); gate.Code(err) != "store-permission" {
		t.Errorf("Get denied: %v", err)
	}
}

// swaps writes at a version, in vain at that version, and where nothing should be.
func swaps(t *testing.T, b store.Bucket, version string) {
	t.Helper()
	swap := func(name, version string) error {
		return b.(store.Swapper).Swap(context.Background(), name, version, strings.NewReader("new"), store.PutOptions{})
	}
	if err := swap("x", version); err != nil {
		t.Error(err)
	}
	for _, at := range []string{version, ""} {
		if err := swap("taken", at); !errors.Is(err, store.ErrChanged) {
			t.Errorf("a swap at %q: %v", at, err)
		}
	}
}
