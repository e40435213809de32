package signed

import "sync"

// VerdictCache remembers outcomes of the public-key operation, which are pure: they say whether one key
// made one signature over one policy, and nothing about time, address, revocation or trust, all of which
// [Verifier.Verify] checks every time before it asks. Implementations must be safe for concurrent use,
// may forget anything at any time, and must be bounded: a stranger can make up failures without end.
type VerdictCache interface {
	// Get returns the outcome kept under k, if hit.
	Get(k [32]byte) (ok, hit bool)
	// Put keeps an outcome. It must not block for long.
	Put(k [32]byte, ok bool)
}

const verdictShards = 16

// NewVerdictCache makes a VerdictCache of at most n good verdicts, and a quarter as many bad ones kept
// apart, so that a flood of bad signatures cannot push a good one out. An entry takes about 100 bytes. n
// is rounded up to at least 64.
func NewVerdictCache(n int) VerdictCache {
	c := new(verdicts)
	each := max(n/(2*verdictShards), 2)
	for i := range c.shards {
		c.shards[i].good.limit = each
		c.shards[i].bad.limit = max(each/4, 1)
	}
	return c
}

type verdicts struct {
	shards [verdictShards]verdictShard
}

type verdictShard struct {
	mu   sync.Mutex
	good generations
	bad  generations
}

func (c *verdicts) shard(k [32]byte) *verdictShard { return &c.shards[k[0]%verdictShards] }

func (c *verdicts) Get(k [32]byte) (ok, hit bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good.has(k) {
		return true, true
	}
	return false, s.bad.has(k)
}

func (c *verdicts) Put(k [32]byte, ok bool) {
	s := c.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.good.add(k)
	} else {
		s.bad.add(k)
	}
}

// generations is a set that forgets: when the young half is full it becomes the old half, and the former
// old half is dropped. What is asked for stays young.
type generations struct {
	limit      int
	young, old map[[32]byte]struct{}
}

func (g *generations) has(k [32]byte) bool {
	if _, ok := g.young[k]; ok {
		return true
	}
	if _, ok := g.old[k]; ok {
		g.add(k)
		return true
	}
	return false
}

func (g *generations) add(k [32]byte) {
	if len(g.young) >= g.limit || g.young == nil {
		g.old, g.young = g.young, make(map[[32]byte]struct{}, g.limit)
	}
	g.young[k] = struct{}{}
}
