package ui

import "fmt"

// Errors gives the errors that err joins, in the order in which Refusal prints them. A step's error stays whole.
func Errors(err error) []error { return leaves(err) }

// oneLine gives the first of the errors that err joins, and says how many more there are; the refusal that follows has them all.
func oneLine(err error) string {
	all := leaves(err)
	if len(all) < 2 {
		return err.Error()
	}
	return fmt.Sprintf("%s (and %d more)", all[0], len(all)-1)
}
