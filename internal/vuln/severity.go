package vuln

import (
	"fmt"
	"strconv"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/sello-release/sello/internal/osv"
)

// Level is a severity in a word, as CVSS has it.
type Level string

// Levels.
const (
	LevelUnknown  Level = "unknown"
	LevelNone     Level = "none"
	LevelLow      Level = "low"
	LevelMedium   Level = "medium"
	LevelHigh     Level = "high"
	LevelCritical Level = "critical"
)

// Severity is the worst that records say of a vulnerability.
type Severity struct {
	Level  Level   `json:"level"`
	Score  float64 `json:"score,omitempty"` // CVSS, 0 to 10; 0 when there is only a word
	Vector string  `json:"vector,omitempty"`
}

var ranks = map[Level]int{LevelUnknown: -1, LevelNone: 0, LevelLow: 1, LevelMedium: 2, LevelHigh: 3, LevelCritical: 4}

func (s Severity) rank() int { return ranks[s.Level] }

func (s Severity) worse(than Severity) bool {
	return s.rank() > than.rank() || s.rank() == than.rank() && s.Score > than.Score
}

// severity is the worst that a record says in any place: as vectors, as numbers, and as the word of its database. all is
// false when it says something that cannot be read.
func severity(r *osv.Record, matched []osv.Affected) (worst Severity, all bool) {
	worst, all = Severity{Level: LevelUnknown}, true
	take := func(got Severity, ok bool) {
		all = all && ok
		if ok && got.worse(worst) {
			worst = got
		}
	}
	state := func(list []osv.Severity, word string) {
		for _, s := range list {
			take(ofScoreText(s.Score))
		}
		if word = strings.TrimSpace(word); word != "" {
			level := ofWord(word)
			take(Severity{Level: level}, level != LevelUnknown)
		}
	}
	state(r.Severity, r.Specific.Severity)
	for _, a := range matched {
		state(a.Severity, a.Specific.Severity)
	}
	return worst, all
}

// ofScoreText reads a severity as records have it: a CVSS vector, a score, or a distribution's word.
func ofScoreText(text string) (Severity, bool) {
	if s, ok := ofVector(text); ok {
		return s, true
	}
	if score, err := strconv.ParseFloat(text, 64); err == nil && score >= 0 && score <= 10 {
		return Severity{Level: ofScore(score), Score: score}, true
	}
	level := ofWord(text)
	return Severity{Level: level}, level != LevelUnknown
}

// ofVector scores a CVSS vector of any version.
func ofVector(vector string) (Severity, bool) {
	if len(vector) > 500 {
		return Severity{}, false
	}
	var score float64
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return Severity{}, false
		}
		score = v.Score()
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return Severity{}, false
		}
		score = v.BaseScore()
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return Severity{}, false
		}
		score = v.BaseScore()
	default:
		v, err := gocvss20.ParseVector(strings.Trim(vector, "()"))
		if err != nil {
			return Severity{}, false
		}
		score = v.BaseScore()
	}
	return Severity{Level: ofScore(score), Score: score, Vector: vector}, true
}

// ofScore gives the word for a score. See CVSS v3.1, Qualitative Severity Rating Scale.
func ofScore(score float64) Level {
	switch {
	case score >= 9:
		return LevelCritical
	case score >= 7:
		return LevelHigh
	case score >= 4:
		return LevelMedium
	case score > 0:
		return LevelLow
	}
	return LevelNone
}

func ofWord(word string) Level {
	switch strings.ToLower(word) {
	case "critical":
		return LevelCritical
	case "high", "important":
		return LevelHigh
	case "medium", "moderate":
		return LevelMedium
	case "none":
		return LevelNone
	case "low", "negligible", "minor", "unimportant":
		return LevelLow
	}
	return LevelUnknown
}

// Weight is a finding's severity and reach, for people.
func (f Finding) Weight() string {
	if f.Reach == Unknown {
		return f.Severity.String() + ", reach unknown"
	}
	return f.Severity.String() + ", " + string(f.Reach)
}

// String is the level and the score, for people.
func (s Severity) String() string {
	if s.Level == LevelUnknown {
		return "severity unknown"
	}
	if s.Score == 0 {
		return string(s.Level)
	}
	return fmt.Sprintf("%s %.1f", s.Level, s.Score)
}
