package signed

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

func verdictKeyOf(n uint64) (k [32]byte) {
	binary.LittleEndian.PutUint64(k[:], n*0x9e3779b97f4a7c15)
	return k
}

func (c *verdicts) size() (good, bad int) {
	for i := range c.shards {
		s := &c.shards[i]
		good += len(s.good.young) + len(s.good.old)
		bad += len(s.bad.young) + len(s.bad.old)
	}
	return good, bad
}

func TestVerdictCacheRemembers(t *testing.T) {
	c := NewVerdictCache(1000)
	a, b := verdictKeyOf(1), verdictKeyOf(2)
	if _, hit := c.Get(a); hit {
		t.Error("an empty cache answers")
	}
	c.Put(a, true)
	c.Put(b, false)
	if ok, hit := c.Get(a); !ok || !hit {
		t.Error("a good verdict was lost")
	}
	if ok, hit := c.Get(b); ok || !hit {
		t.Error("a bad verdict was lost, or became good")
	}
}

// A flood of failures stays bounded, and pushes no good verdict out.
func TestVerdictCacheIsBounded(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 100, 1000} {
		c := NewVerdictCache(n).(*verdicts)
		keep := verdictKeyOf(1 << 40)
		c.Put(keep, true)
		for i := range uint64(20_000) {
			c.Put(verdictKeyOf(i), false)
		}
		if ok, hit := c.Get(keep); !ok || !hit {
			t.Errorf("n=%d: failures pushed a good verdict out", n)
		}
		for i := range uint64(20_000) {
			c.Put(verdictKeyOf(1<<32+i), true)
		}
		most := max(n, 64)
		if good, bad := c.size(); good > most || bad > max(most/4, 32) || good == 0 || bad == 0 {
			t.Errorf("n=%d: %d good and %d bad are kept", n, good, bad)
		}
	}
}

// What is asked for again and again survives a stream of other verdicts.
func TestVerdictCacheKeepsWhatIsUsed(t *testing.T) {
	c := NewVerdictCache(320)
	hot := verdictKeyOf(1 << 40)
	c.Put(hot, true)
	for i := range uint64(10_000) {
		c.Put(verdictKeyOf(i), true)
		if ok, hit := c.Get(hot); !ok || !hit {
			t.Fatalf("lost after %d others", i)
		}
	}
}

func TestVerdictCacheConcurrently(t *testing.T) {
	c := NewVerdictCache(100)
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g, 1))
			for range 3000 {
				n := r.Uint64N(400)
				if ok, hit := c.Get(verdictKeyOf(n)); hit && ok != (n%3 != 0) {
					t.Errorf("verdict of %d is %v", n, ok)
				}
				c.Put(verdictKeyOf(n), n%3 != 0)
			}
		})
	}
	wg.Wait()
}
