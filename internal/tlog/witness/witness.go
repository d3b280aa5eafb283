// Package witness asks witnesses to cosign a log's checkpoint (C2SP tlog-witness).
//
// # Promises
//
// A witness is shown that the log has only grown since it saw it last. Its answer counts when it is a cosignature by its key, for this
// checkpoint, at a time that has come. Answers are bounded, and so is the time that is waited for them.
//
// # What it does not do
//
// It does not decide who is a witness and how many it takes: the log's identity does.
package witness

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	sumtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/sello-release/sello/internal/gate"
	"github.com/sello-release/sello/internal/tlog"
	"github.com/sello-release/sello/internal/web"
)

// Limits on asking.
const (
	maxAnswer = 16 << 10         // bytes
	maxTries  = 3                // of one witness that does not answer
	maxSizes  = 5                // that one witness may have named, while others release
	restarts  = 5                // with a checkpoint of somebody who released meanwhile
	pause     = time.Second      // before the second try; twice that before the third
	patience  = 20 * time.Second // for one answer
	grace     = 3 * time.Second  // for the others, once enough have cosigned
)

// Client asks witnesses.
type Client struct {
	Now   func() time.Time
	Pause time.Duration // before the second try
	web   *web.Client
}

// New gives a client. now is the time that cosignatures are judged at.
func New(now func() time.Time) *Client {
	w := web.New()
	w.Stall = patience
	return &Client{now, pause, w}
}

// Close ends connections that nobody uses.
func (c *Client) Close() { c.web.Close() }

// Cosign gives a checkpoint with cosignatures of at least as many witnesses as the log needs: of at, or of a later state of the log when others have added to it
// meanwhile. One that has them already is given as it is, and nobody is asked. It refuses, by code: witness-unreachable when too few
// have cosigned, witness-refused when a witness knows another log under this name.
func (c *Client) Cosign(ctx context.Context, l *tlog.Log, at *tlog.Checkpoint) (*tlog.Checkpoint, error) {
	for range restarts {
		if _, err := l.Cosigned(at, c.Now()); err == nil {
			return l.Add(at, c.Now())
		}
		sigs, err := c.askAll(ctx, l, at)
		var ahead *aheadError
		if errors.As(err, &ahead) {
			later, err := l.Latest(ctx)
			if err == nil && later.Size < ahead.size {
				err = refused(ahead.who, fmt.Sprintf("a log of %d entries, and ours has %d", ahead.size, later.Size))
			}
			if err == nil {
				err = l.Extends(ctx, later, at)
			}
			if err != nil {
				return nil, err
			}
			at = later
			continue
		}
		if err != nil {
			return nil, err
		}
		if at, err = l.Add(at, c.Now(), sigs...); err != nil {
			return nil, err
		}
		if _, err := l.Cosigned(at, c.Now()); err != nil {
			return nil, err
		}
		return at, nil
	}
	return nil, unreachable(l, "others add to the log all the time")
}

// askAll asks all witnesses at one time, until enough have cosigned or each has answered.
func (c *Client) askAll(parent context.Context, l *tlog.Log, at *tlog.Checkpoint) ([]note.Signature, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	type answer struct {
		who  tlog.Witness
		sigs []note.Signature
		err  error
	}
	witnesses := l.Witnesses()
	answers := make(chan answer, len(witnesses))
	var group sync.WaitGroup
	for _, w := range witnesses {
		group.Go(func() {
			sigs, err := c.ask(ctx, l, at, w)
			answers <- answer{w, sigs, err}
		})
	}
	defer group.Wait()
	defer cancel() // before waiting
	var out []note.Signature
	var said []string
	good := 0
	for range witnesses {
		a := <-answers
		var ahead *aheadError
		switch {
		case a.err == nil:
			out = append(out, a.sigs...)
			said = append(said, a.who.Name()+" cosigned")
			if good++; good == l.Threshold() {
				defer time.AfterFunc(grace, cancel).Stop()
			}
		case errors.As(a.err, &ahead), gate.Code(a.err) != "": // of a witness, or of our own log
			return nil, a.err
		default:
			said = append(said, fmt.Sprintf("%s: %v", a.who.Name(), a.err))
		}
	}
	if err := parent.Err(); err != nil {
		return nil, err
	}
	if good < l.Threshold() {
		return nil, unreachable(l, strings.Join(said, "; "))
	}
	return out, nil
}

// aheadError is a witness that has seen more of the log than it was shown.
type aheadError struct {
	who  tlog.Witness
	size int64
}

// Error implements error.
func (e *aheadError) Error() string { return fmt.Sprintf("knows %d entries", e.size) }

// ask asks one witness. It begins with a log that has nothing in it; the witness then says what it knows.
func (c *Client) ask(ctx context.Context, l *tlog.Log, at *tlog.Checkpoint, w tlog.Witness) ([]note.Signature, error) {
	old := int64(0)
	for range maxSizes {
		answer, err := c.post(ctx, l, at, w, old)
		if err != nil {
			return nil, err
		}
		switch answer.Status {
		case http.StatusOK:
			sigs, err := l.Cosignatures(at, w, answer.Body, c.Now())
			if err != nil {
				return nil, fmt.Errorf("its answer is no cosignature: %w", err)
			}
			return sigs, nil
		case http.StatusConflict:
			size, err := parseSize(answer)
			switch {
			case err != nil:
				return nil, err
			case size > at.Size:
				return nil, &aheadError{w, size}
			case size == old:
				return nil, fmt.Errorf("knows %d entries, and does not take a proof from there", size)
			}
			old = size
		case http.StatusUnprocessableEntity:
			return nil, refused(w, fmt.Sprintf("another log of %d entries, which ours of %d does not continue", old, at.Size))
		case http.StatusNotFound:
			return nil, errors.New("does not know the log: its operator has to add it")
		case http.StatusForbidden:
			return nil, errors.New("knows no key that has signed the checkpoint: its operator has to add it")
		default:
			return nil, fmt.Errorf("answers %d %s", answer.Status, http.StatusText(answer.Status))
		}
	}
	return nil, errors.New("names another size of the log each time")
}

// post sends a checkpoint, some times while there is no answer.
func (c *Client) post(ctx context.Context, l *tlog.Log, at *tlog.Checkpoint, w tlog.Witness, old int64) (*web.Answer, error) {
	prefix, err := url.Parse(w.URL)
	if err != nil {
		return nil, fmt.Errorf("read URL of witness: %w", err)
	}
	proof, err := l.ProveGrowth(ctx, at, old)
	if err != nil {
		return nil, err
	}
	rest := c.Pause
	for try := 1; ; try++ {
		answer, err := c.web.Post(ctx, prefix.JoinPath("add-checkpoint"), "text/plain; charset=utf-8", request(old, proof, at.Note), maxAnswer)
		again := err != nil || answer.Status == http.StatusTooManyRequests || answer.Status >= http.StatusInternalServerError
		if !again || try == maxTries || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(rest):
			rest *= 2
		}
	}
}

// request is the body of add-checkpoint.
func request(old int64, proof []sumtlog.Hash, checkpoint []byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n")
	b.Write(checkpoint)
	return []byte(b.String())
}

// parseSize reads how much of the log a witness knows.
func parseSize(a *web.Answer) (int64, error) {
	kind, _, err := mime.ParseMediaType(a.MediaType)
	line, ended := strings.CutSuffix(string(a.Body), "\n")
	size, bad := strconv.ParseInt(line, 10, 64)
	if err != nil || kind != "text/x.tlog.size" || !ended || bad != nil || size < 0 || strconv.FormatInt(size, 10) != line {
		return 0, fmt.Errorf("answers a conflict without saying how much of the log it knows: %.100q", a.Body)
	}
	return size, nil
}

func refused(w tlog.Witness, knows string) error {
	return &gate.Refusal{Code: "witness-refused", What: "a witness has seen another log under this name and key", Where: w.Name(), Expected: "the log that this one continues", Actual: knows,
		Fix: "do not release until it is known who has the log's key or changed the log: sello log audit --since what you saw before; two production buckets for one project are two logs"}
}

func unreachable(l *tlog.Log, said string) error {
	return &gate.Refusal{Code: "witness-unreachable", Class: gate.Failed, What: "too few witnesses have cosigned the transparency log's checkpoint", Where: l.String(), Expected: l.Quorum(), Actual: said,
		Fix: "see that the witnesses answer and know the log, then run the same command again: it goes on where it stopped"}
}
