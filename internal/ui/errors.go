package ui

// Errors gives the errors that err joins, in the order in which Refusal prints them. A step's error stays whole.
func Errors(err error) []error { return leaves(err) }
