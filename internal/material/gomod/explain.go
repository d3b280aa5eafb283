package gomod

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sello-release/sello/internal/gate"
)

var (
	reMismatch = regexp.MustCompile(`verifying (\S+?)@(\S+?)(?:/go\.mod)?: (?:verifying (?:module|go\.mod): )?checksum mismatch\s+downloaded: +(h1:\S+)\s+(\S+?): +(h1:\S+)`)
	reDBMiss   = regexp.MustCompile(`(\S+?)@(\S+?): verifying (?:module|go\.mod): checksum mismatch\s+downloaded: +(h1:\S+)\s+(\S+?): +(h1:\S+)`)
	reMissing  = regexp.MustCompile(`missing go\.sum entry (?:for go\.mod file|for module providing package (\S+)|needed to verify contents of (\S+))?`)
	reTooNew   = regexp.MustCompile(`requires go >= (\S+) \(running (go \S+?);`)
	reLookup   = regexp.MustCompile(`verifying (?:module|go\.mod): (\S+?)@(\S+?): reading .*/sumdb/.*: 40[04]|/sumdb/\S+/lookup/(\S+?)@(\S+?): 40[04]`)
)

// explain turns what the go command said into a refusal: by its text where that
// speaks of checksums, else by what the proxy saw, else as it stands.
func (s *session) explain(text string, cause error) error {
	r := classify(text)
	if r == nil {
		r = s.proxy.Failure(text)
	}
	if r == nil {
		return cause
	}
	copied := *r
	if copied.Cause == nil {
		copied.Cause = cause
	}
	return &copied
}

// classify recognises the refusals of the go command that have a code of their own.
func classify(text string) *gate.Refusal {
	if m := reMismatch.FindStringSubmatch(text); m != nil {
		if strings.HasSuffix(m[4], ".sum") {
			return sumMismatch(m[1]+"@"+m[2], m[4], m[5], m[3])
		}
		return databaseMismatch(m[1]+"@"+m[2], m[4], m[5], m[3])
	}
	if m := reDBMiss.FindStringSubmatch(text); m != nil {
		return databaseMismatch(m[1]+"@"+m[2], m[4], m[5], m[3])
	}
	if strings.Contains(text, "SECURITY ERROR") {
		return databaseMismatch("", "", "", "")
	}
	if m := reMissing.FindStringSubmatch(text); m != nil {
		return notInGoSum(m[1]+m[2], firstLine(text, "missing go.sum entry"))
	}
	if strings.Contains(text, "inconsistent vendoring") {
		return &gate.Refusal{Code: "vendor-mismatch", Class: gate.Refused, What: "vendor/modules.txt does not agree with go.mod", Where: "vendor/modules.txt",
			Fix: "go mod vendor, and commit vendor/", Cause: errors.New(text)}
	}
	if m := reTooNew.FindStringSubmatch(text); m != nil {
		return &gate.Refusal{Code: "toolchain-too-old", Class: gate.Usage, What: "the toolchain is older than the module asks for",
			Expected: "Go " + m[1] + " or later", Actual: m[2], Fix: "set builds[].go.toolchain: go" + m[1]}
	}
	if reLookup.MatchString(text) {
		return &gate.Refusal{Code: "sumdb-unknown", Class: gate.Refused, What: "the checksum database does not know a module: " + firstLine(text, "verifying"),
			Fix: "if the module is private: go env -w GOPRIVATE=… (the exemption is recorded)"}
	}
	return nil
}

func sumMismatch(mod, file, want, got string) *gate.Refusal {
	return &gate.Refusal{Code: "module-sum-mismatch", Class: gate.Refused, Where: mod, What: "the module is not the one that " + file + " names",
		Expected: want, Actual: got, Fix: "find out which of the two is wrong before anything else: somebody may have replaced the module, or go.sum"}
}

func databaseMismatch(mod, db, want, got string) *gate.Refusal {
	return &gate.Refusal{Code: "sumdb-mismatch", Class: gate.Refused, Where: mod, What: strings.TrimSpace("the module is not the one that the checksum database has " + db),
		Expected: want, Actual: got, Fix: "do not build this: the module was replaced after it was published, on its way here, or in go.sum"}
}

func notInGoSum(mod, detail string) *gate.Refusal {
	r := &gate.Refusal{Code: "module-not-in-gosum", Class: gate.Refused, Where: mod, What: "go.sum has no entry for a module that the build needs",
		Fix: "go mod tidy, and commit go.sum; in a workspace: go build, and commit go.work.sum"}
	if detail != "" {
		r.Cause = fmt.Errorf("%s", detail)
	}
	return r
}

// firstLine gives the first line of text that holds what.
func firstLine(text, what string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
