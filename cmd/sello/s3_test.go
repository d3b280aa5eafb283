package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sello-release/sello/internal/store"
	"github.com/sello-release/sello/internal/store/storetest"
)

// TestS3Sessions runs sessions whose staging and production are buckets of a real S3 server. They have the buckets' URLs in
// STAGING and PRODUCTION, and the files of the server's objects below S3_ROOT.
func TestS3Sessions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("staging in a sandbox is Linux only")
	}
	s := storetest.StartS3(t)
	staging, production := s.Make(t, "staging"), s.Make(t, "production")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "s3"),
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			for k, v := range map[string]string{
				"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, ".config"), "SELLO_CACHE": filepath.Join(testCache(), "sello"), "GIT_CONFIG_GLOBAL": os.DevNull,
				"GIT_AUTHOR_NAME": "A Maintainer", "GIT_AUTHOR_EMAIL": "maintainer@example.org", "GIT_COMMITTER_NAME": "A Maintainer", "GIT_COMMITTER_EMAIL": "maintainer@example.org",
				"STAGING": staging, "PRODUCTION": production, "S3_ROOT": s.Root,
			} {
				e.Setenv(k, v)
			}
			for _, name := range []string{
				"GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOFLAGS", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY",
				"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED",
			} {
				if v, ok := os.LookupEnv(name); ok {
					e.Setenv(name, v)
				}
			}
			return os.MkdirAll(home, 0o755)
		},
		Cmds:      withS3(commands()),
		Condition: condition,
	})
}

// withS3 adds a command of somebody who can write to a bucket: s3put URL NAME CONTENT.
func withS3(cmds map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	cmds["s3put"] = func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 3 {
			ts.Fatalf("usage: s3put URL NAME CONTENT")
		}
		b, err := store.Open(args[0], "")
		ts.Check(err)
		ts.Check(b.Put(context.Background(), args[1], strings.NewReader(args[2]), store.PutOptions{}))
	}
	return cmds
}
