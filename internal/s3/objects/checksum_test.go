package objects

import (
	"bytes"
	"testing"
)

// FuzzCombineCRC: the parts' CRCs give the whole's.
func FuzzCombineCRC(f *testing.F) {
	f.Add([]byte("123456789"), 4)
	f.Add([]byte{}, 0)
	f.Add(bytes.Repeat([]byte{0, 0xff}, 5000), 777)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			c := NewCombiner(a, FullObject)
			for _, part := range [][]byte{b[:cut], b[cut:], nil} {
				h := a.New()
				h.Write(part)
				c.Add(h.Sum(nil), int64(len(part)))
			}
			whole := a.New()
			whole.Write(b)
			if got := c.Checksum(); !bytes.Equal(got.Value, whole.Sum(nil)) {
				t.Errorf("%v of %d bytes cut at %d: %x, want %x", a, len(b), cut, got.Value, whole.Sum(nil))
			}
		}
	})
}
