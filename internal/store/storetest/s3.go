package storetest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Credentials that the server knows, for AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
const (
	S3Access = "sello-test"
	S3Secret = "sello-test-secret-key"
)

// S3 is a real S3 server on loopback: versitygw, with folders below Root for buckets.
type S3 struct {
	Endpoint string // http://127.0.0.1:port
	Root     string // its objects are files here: Root/bucket/name

	cmd *exec.Cmd
	log bytes.Buffer
}

// StartS3 starts a server that ends with the test, and sets the environment's credentials for it; so the test cannot be parallel, but its
// subtests can. Where the program is not in the test cache it is built if SELLO_JUDGES is 1; else the test is skipped.
func StartS3(t *testing.T) *S3 {
	t.Helper()
	program := s3Program(t)
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": S3Access, "AWS_SECRET_ACCESS_KEY": S3Secret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "us-east-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(k, v)
	}
	s := &S3{Root: filepath.Join(t.TempDir(), "objects")}
	if err := os.Mkdir(s.Root, 0o755); err != nil {
		t.Fatal(err)
	}
	s.start(t, program)
	return s
}

func (s *S3) start(t *testing.T, program string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s.Endpoint = "http://" + address
	s.cmd = exec.Command(program, "--port", address, "--quiet", "posix", s.Root)
	s.cmd.Env = []string{"ROOT_ACCESS_KEY_ID=" + S3Access, "ROOT_SECRET_ACCESS_KEY=" + S3Secret, "PATH=" + os.Getenv("PATH")}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	for end := time.Now().Add(20 * time.Second); ; {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			s.Kill()
			t.Fatalf("versitygw does not answer: %v\n%s", err, s.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Kill ends the server at once; more than once is harmless.
func (s *S3) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Make makes a bucket and gives its URL, with the options to reach it.
func (s *S3) Make(t *testing.T, bucket string) string {
	t.Helper()
	u := s.URL(bucket)
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	b, err := (&s3blob.URLOpener{}).OpenBucketURL(context.Background(), parsed)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := client(t, b).CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return u
}

func client(t *testing.T, b *blob.Bucket) *s3.Client {
	t.Helper()
	var c *s3.Client
	if !b.As(&c) {
		t.Fatal("there is no S3 client in the bucket")
	}
	return c
}

// URL is the URL of a bucket that may not be there.
func (s *S3) URL(bucket string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s&region=us-east-1&use_path_style=true", bucket, url.QueryEscape(s.Endpoint))
}

// Path is the file of an object.
func (s *S3) Path(bucket, name string) string {
	return filepath.Join(s.Root, bucket, filepath.FromSlash(name))
}

// s3Program gives the server's program.
func s3Program(t *testing.T) string {
	t.Helper()
	const name = "versitygw"
	_, here, _, _ := runtime.Caller(0)
	scripts := filepath.Join(filepath.Dir(here), "..", "..", "..", "scripts")
	if os.Getenv("SELLO_JUDGES") == "1" {
		out, err := exec.Command(filepath.Join(scripts, "tool"), name).Output()
		if err != nil {
			t.Fatalf("build %s: %v", name, err)
		}
		return strings.TrimSpace(string(out))
	}
	cache := os.Getenv("SELLO_TEST_CACHE")
	if user, err := os.UserCacheDir(); cache == "" && err == nil {
		cache = filepath.Join(user, "sello-test")
	}
	list, err := os.ReadFile(filepath.Join(scripts, "tools.txt"))
	if err != nil {
		t.Skipf("there is no list of tools to find %s in: %v", name, err)
	}
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name && cache != "" {
			program := filepath.Join(cache, "tools", name+"@"+f[2], name)
			if _, err := os.Stat(program); err == nil {
				return program
			}
		}
	}
	t.Skipf("%s is not in the test cache: set SELLO_JUDGES=1 to build it", name)
	return ""
}
