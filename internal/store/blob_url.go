package store

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// options are what the URL of an object store may hold, by scheme, besides prefix. All others are refused: those that could hold
// credentials, and those that would send credentials to another host than their owner chose (Azure's domain, Google's universe_domain).
var options = map[string][]string{
	"s3": {
		"region", "endpoint", "use_path_style", "s3ForcePathStyle", "disable_https", "hostname_immutable", "profile", "role", "dualstack", "fips", "accelerate",
		"anonymous", "ssetype", "kmskeyid", "rate_limiter_capacity", "request_checksum_calculation", "response_checksum_validation", "awssdk",
	},
	"gs":     {"anonymous"},
	"azblob": {"storage_account", "protocol", "localemu"},
}

// maxBucketName is Google's limit with dots, in bytes; the others allow 63.
const maxBucketName = 222

func isBucketName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return len(s) > 1 && len(s) <= maxBucketName
}

// openBlob makes the bucket of an object store, from a URL of its scheme.
func openBlob(u *url.URL) (Bucket, error) {
	bare := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	bad := func(why string) error { return badURL(bare, why) }
	q, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return nil, bad("its options cannot be parsed")
	case u.User != nil:
		return nil, bad("it holds credentials, which come from the environment; change them if they were real")
	case !isBucketName(u.Host) || u.Opaque != "":
		return nil, bad("it names no bucket")
	case u.Fragment != "" || u.Path != "" && u.Path != "/":
		return nil, bad("it has a path; write prefix=folder/ as an option instead")
	}
	for key, values := range q {
		switch {
		case key != "prefix" && !slices.Contains(options[u.Scheme], key):
			return nil, bad(fmt.Sprintf("the option %q is none of %s; credentials come from the environment", clip(key), strings.Join(options[u.Scheme], ", ")))
		case len(values) != 1:
			return nil, bad("the option " + key + " is there twice")
		}
	}
	if e := q.Get("endpoint"); e != "" {
		parsed, err := url.Parse(e)
		if err != nil || parsed.User != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" {
			return nil, bad("its endpoint is no http or https URL without credentials")
		}
	}
	b := &blobBucket{scheme: u.Scheme, name: u.Host, query: q, answer: answerTime, read: readTime, write: writeTime}
	if p := strings.Trim(q.Get("prefix"), "/"); p != "" {
		if err := CheckName(p); err != nil {
			return nil, err
		}
		b.prefix = p + "/"
	}
	plain := url.Values{}
	for k, v := range q {
		if k != "prefix" {
			plain[k] = v
		}
	}
	own := &url.URL{Scheme: u.Scheme, Host: u.Host, RawQuery: plain.Encode()}
	switch u.Scheme {
	case "s3":
		b.via = &s3Provider{url: own}
	case "gs":
		b.via = &gcsProvider{url: own}
	default:
		b.via = &azureProvider{url: own}
	}
	return b, nil
}

// IsObjectStore reports whether Open takes scheme for one of an object store.
func IsObjectStore(scheme string) bool { return options[scheme] != nil }
