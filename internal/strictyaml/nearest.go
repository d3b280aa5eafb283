package strictyaml

import "strings"

// Nearest gives the candidate that word was probably meant to be, or "". It
// ignores case, '-' and '_', and allows about one slip for each three letters. It
// gives "" for what would take long: very long words, hundreds of candidates.
func Nearest(word string, candidates []string) string {
	if len(word) > 64 || len(word)*len(candidates) > 10_000 {
		return ""
	}
	best, least := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if n := distance(fold(word), fold(c)); n < least && n < len(c) {
			best, least = c, n
		}
	}
	return best
}

var folding = strings.NewReplacer("-", "", "_", "")

func fold(s string) string { return folding.Replace(strings.ToLower(s)) }

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
