// Package flow runs a graph of named steps: parallel, journalled, resumable.
//
// A step is a function with a name, the steps it needs and a result. [Add] puts
// it into a [Graph] and gives a [Task], through which steps that need it read its result:
//
//	g := flow.New()
//	source := flow.Add(g, flow.Step[Tree]{Name: "fetch/source", Key: key, Run: export})
//	flow.Add(g, flow.Step[Binary]{
//		Name: "build/age/linux/amd64", Needs: flow.Needs(source), Group: "build",
//		Key:  func() (string, error) { return configDigest, nil },
//		Run:  func(ctx context.Context, r *flow.Run) (Binary, error) { return compile(ctx, source.Value(), r.Log()) },
//		Valid: func(b Binary) error { return b.Check() },
//	})
//	summary, err := g.Run(ctx, flow.Options{Journal: journal, Sink: renderer})
//
// # What it promises
//
//   - A step starts after everything it needs is done, at most once at a time, and never after
//     another step has failed: those that run then finish, no new ones start, and every
//     failure is in the error. A panic is a failure.
//   - A step's key is the digest of its name, its own configuration ([Step].Key) and the keys and results
//     of what it needs. When the journal has a finished record with that key, and [Step].Valid accepts the
//     recorded result (its outputs are still on disk, with their digests), the step is cached. A
//     step without Key always runs.
//   - Results are JSON in the journal. A step's result is what comes back from there, in the run that
//     made it too, so that a resumed run sees the same values. Types that JSON would change are refused by Add.
//   - A finished record is on disk before any step that needs it starts. A step that was killed leaves no
//     such record and runs again, so a step's effect must be harmless when repeated (stat, same
//     digest, done) and durable when Run returns.
//   - A journal that cannot be written stops the run.
//   - Retries happen only for steps that ask for them, never after a refusal, a panic or [Run.DisableRetries].
//
// # Refusals
//
// journal-corrupt (with the line) and journal-write. Errors of steps come as [*StepError].
//
// # What it does not do
//
// It does not keep two processes from writing one journal: take a lock first. It does not
// delete outputs, distribute steps to other machines, or know what a step does.
package flow
