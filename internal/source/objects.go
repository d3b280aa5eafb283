package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Kinds of objects, as git names them.
const (
	kindCommit = "commit"
	kindTree   = "tree"
	kindBlob   = "blob"
	kindTag    = "tag"
)

// objects reads a repository's objects through one `git cat-file --batch`
// process. Ask for ids first, then read the answers in the same order; the answers
// are proven by hashing them. It is for one goroutine.
type objects struct {
	repo    *Repository
	scratch *scratch
	ctx     context.Context
	cancel  context.CancelFunc
	cmd     *exec.Cmd
	out     *bufio.Reader
	stderr  *tail
	asked   chan iter.Seq[string]
	feeding sync.WaitGroup
	ended   bool // nothing will be asked any more
}

// A missingError is the answer for an object that is not in the store, or that git cannot read.
type missingError struct{ id string }

func (e *missingError) Error() string { return "object " + e.id + " is not in the repository" }

// objects starts the process. Buffered answers come faster, but only once end was called.
func (r *Repository) objects(ctx context.Context, buffered bool) (*objects, error) {
	s, err := r.scratch("")
	if err != nil {
		return nil, err
	}
	args := []string{"cat-file", "--batch"}
	if buffered {
		args = append(args, "--buffer")
	}
	o := &objects{repo: r, scratch: s, stderr: &tail{}, asked: make(chan iter.Seq[string], 1)}
	o.ctx, o.cancel = context.WithCancel(ctx)
	o.cmd = s.onObjects(o.ctx, args...)
	o.cmd.Stderr = o.stderr
	stdin, err := o.cmd.StdinPipe()
	if err == nil {
		var out io.ReadCloser
		if out, err = o.cmd.StdoutPipe(); err == nil {
			o.out = bufio.NewReaderSize(out, 256<<10)
			err = start(o.cmd)
		}
	}
	if err != nil {
		o.cancel()
		s.remove()
		return nil, err
	}
	o.feeding.Go(func() { o.feed(stdin) })
	return o, nil
}

// feed writes what was asked for; git reads and answers at its own pace.
func (o *objects) feed(stdin io.WriteCloser) {
	w := bufio.NewWriterSize(stdin, 32<<10)
	for ids := range o.asked {
		for id := range ids {
			_, _ = w.WriteString(id)
			if w.WriteByte('\n') != nil {
				break
			}
		}
		w.Flush() // after an error nothing more is written; the reader sees git's end
	}
	stdin.Close()
}

// ask queues ids. Not more than one unanswered sequence may be queued behind another.
func (o *objects) ask(ids iter.Seq[string]) { o.asked <- ids }

// end says that nothing more will be asked.
func (o *objects) end() {
	if !o.ended {
		o.ended = true
		close(o.asked)
	}
}

// close ends the process and removes its git directory.
func (o *objects) close() {
	o.cancel()
	_ = o.cmd.Wait() // it was killed, or everything wanted was read
	o.end()
	o.feeding.Wait()
	o.scratch.remove()
}

// header reads the beginning of the next answer, which must be about id.
func (o *objects) header(id string) (kind string, size int64, err error) {
	line, err := o.out.ReadSlice('\n')
	if err != nil {
		return "", 0, o.died(id, err)
	}
	fields := strings.Fields(string(line))
	if len(fields) == 2 && fields[0] == id && fields[1] == "missing" {
		return "", 0, &missingError{id: id}
	}
	if len(fields) == 3 && fields[0] == id {
		if size, err = strconv.ParseInt(fields[2], 10, 64); err == nil && size >= 0 {
			return fields[1], size, nil
		}
	}
	return "", 0, o.died(id, fmt.Errorf("unexpected answer %s", quote(string(line))))
}

// fill reads an answer's content into b and the newline behind it.
func (o *objects) fill(id string, b []byte) error {
	if _, err := io.ReadFull(o.out, b); err != nil {
		return o.died(id, err)
	}
	return o.newline(id)
}

func (o *objects) newline(id string) error {
	c, err := o.out.ReadByte()
	if err == nil && c != '\n' {
		err = errors.New("answer does not end where it should")
	}
	if err != nil {
		return o.died(id, err)
	}
	return nil
}

// died explains why no answer came: git ends when it cannot unpack an object.
func (o *objects) died(id string, cause error) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if said := o.said(); said != "" {
		cause = errors.New(said)
	}
	return unreadable(id, cause)
}

// said ends the process and gives what it complained about.
func (o *objects) said() string {
	o.cancel()
	_ = o.cmd.Wait()
	return o.stderr.String()
}

func unreadable(id string, cause error) error {
	return refusal{
		code: "source-object-corrupt", where: "object " + id, what: "git cannot read the object", expected: "an object that can be unpacked",
		actual: plain(cause.Error()), fix: "run `git fsck --full` and clone the repository again",
	}.err()
}

// next reads the next answer, which must be id, of this kind, and at most max bytes.
func (o *objects) next(id, kind string, max int64) ([]byte, error) {
	found, size, err := o.header(id)
	if err != nil {
		return nil, err
	}
	if found != kind {
		return nil, &kindError{id: id, want: kind, found: found}
	}
	if size > max {
		return nil, refusal{
			code: "source-object-too-large", where: kind + " " + id, what: "object is too large",
			expected: fmt.Sprintf("at most %d bytes", max), actual: fmt.Sprintf("%d bytes", size),
		}.err()
	}
	b := make([]byte, size)
	if err := o.fill(id, b); err != nil {
		return nil, err
	}
	h := o.repo.format.hasher(kind, size)
	h.Write(b)
	return b, proven(h, id)
}

// get asks for one object and reads it.
func (o *objects) get(id, kind string, max int64) ([]byte, error) {
	o.ask(slices.Values([]string{id}))
	return o.next(id, kind, max)
}

// A kindError is an object of another kind than the one that named it said. After
// it, the process's answers are out of step: it must be closed.
type kindError struct{ id, want, found string }

func (e *kindError) Error() string {
	return fmt.Sprintf("object %s is a %s, not a %s", e.id, e.found, e.want)
}

// complaint refuses an object that git calls missing, but that is there and cannot be read. It ends the process.
func (o *objects) complaint(id string) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if said := o.said(); said != "" {
		return unreadable(id, errors.New(said))
	}
	return nil
}

// broken turns the errors of objects into refusals that say where the object was needed.
func (o *objects) broken(err error, where string) error {
	var missing *missingError
	var kind *kindError
	switch {
	case errors.As(err, &missing):
		if err := o.complaint(missing.id); err != nil {
			return err
		}
		ref := refusal{
			code: "source-object-missing", where: where, what: "an object of the commit is not in the repository",
			fix: "run `git fsck --full` and clone the repository again", cause: err,
		}
		if o.repo.partial() {
			ref.what = "this is a partial clone, and an object of the commit was left out of it"
			ref.fix = "clone again without --filter"
		}
		return ref.err()
	case errors.As(err, &kind):
		return refusal{
			code: "source-object-corrupt", where: where, what: "an object is of another kind than its parent says",
			expected: kind.want, actual: kind.found, fix: "run `git fsck --full` and clone the repository again", cause: err,
		}.err()
	}
	return err
}
