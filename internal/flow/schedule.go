package flow

import "sort"

// schedule knows which steps can start: those that were added first go first.
type schedule struct {
	nodes   []*node
	missing []int     // by index: how many needs are not done
	needed  [][]*node // by index: who needs it
	started []bool
	ready   []*node // sorted by index
	running int
	workers int
	limits  map[string]int
	groups  map[string]int // running steps by group
}

func newSchedule(nodes []*node, workers int, limits map[string]int) *schedule {
	s := &schedule{
		nodes: nodes, missing: make([]int, len(nodes)), needed: make([][]*node, len(nodes)), started: make([]bool, len(nodes)),
		workers: workers, limits: limits, groups: map[string]int{},
	}
	for _, n := range nodes {
		s.missing[n.index] = len(n.needs)
		for _, need := range n.needs {
			s.needed[need.index] = append(s.needed[need.index], n)
		}
		if len(n.needs) == 0 {
			s.ready = append(s.ready, n)
		}
	}
	return s
}

// next takes the first ready step that the limits allow, or gives nil.
func (s *schedule) next() *node {
	if s.running >= s.workers {
		return nil
	}
	for i, n := range s.ready {
		if limit, ok := s.limits[n.group]; ok && n.group != "" && s.groups[n.group] >= max(limit, 1) {
			continue
		}
		s.ready = append(s.ready[:i], s.ready[i+1:]...)
		s.started[n.index] = true
		s.running++
		s.groups[n.group]++
		return n
	}
	return nil
}

// end gives back a step's place and, if it is done, makes ready what needed it.
func (s *schedule) end(n *node, done bool) {
	s.running--
	s.groups[n.group]--
	if !done {
		return
	}
	for _, m := range s.needed[n.index] {
		if s.missing[m.index]--; s.missing[m.index] == 0 {
			s.ready = append(s.ready, m)
		}
	}
	sort.Slice(s.ready, func(i, j int) bool { return s.ready[i].index < s.ready[j].index })
}

func (s *schedule) unstarted() []*node {
	var rest []*node
	for _, n := range s.nodes {
		if !s.started[n.index] {
			rest = append(rest, n)
		}
	}
	return rest
}
