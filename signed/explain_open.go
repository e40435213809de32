package signed

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// opened is what a public key tells about a signature: enough to see whether a guessed text is the one that
// was signed, for less than a verification.
type opened struct {
	// ok says that guesses can be tested. If not, this key made no such signature over any text.
	ok bool
	// proven says that this very key made the signature over something. ECDSA cannot prove it.
	proven bool
	// hash and digest are what an RSA signature was made over. hash is only the claimed one for ECDSA.
	hash   Hash
	digest []byte
	// points are the two values that the digest times the base point may have for ECDSA.
	points [][]byte
	// digestName names another digest than CloudFront's two.
	digestName string
	// size is the length of an RSA key's signatures in bytes.
	size int
	// note is a guess at what the signature is instead.
	note string
}

func openSignature(k *Key, sig []byte, claimed Hash) opened {
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		return openRSA(pub, sig)
	case *ecdsa.PublicKey:
		return openECDSA(pub, sig, claimed)
	}
	return opened{}
}

// digestInfos are the DER prefixes of PKCS#1 v1.5 (RFC 8017 section 9.2, note 1).
var digestInfos = []struct {
	prefix string
	size   int
	hash   Hash
	name   string
}{
	{"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14", 20, SHA1, ""},
	{"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20", 32, SHA256, ""},
	{"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30", 48, 0, "SHA384"},
	{"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40", 64, 0, "SHA512"},
	{"\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10", 16, 0, "MD5"},
}

// openRSA undoes the private key's operation and reads the digest out of the padding.
func openRSA(pub *rsa.PublicKey, sig []byte) opened {
	o := opened{size: pub.Size()}
	if len(sig) != o.size {
		return o
	}
	m := new(big.Int).SetBytes(sig)
	if m.Cmp(pub.N) >= 0 {
		return o
	}
	em := m.Exp(m, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, o.size))
	if em[len(em)-1] == 0xbc {
		o.note = "if the key signs with RSA-PSS, set it to PKCS#1 v1.5"
	}
	if em[0] != 0 || em[1] != 1 {
		return o
	}
	rest := bytes.TrimLeft(em[2:], "\xff")
	if len(em)-2-len(rest) < 8 || len(rest) == 0 || rest[0] != 0 {
		return o
	}
	o.proven, o.note = true, ""
	rest = rest[1:]
	for _, d := range digestInfos {
		if digest, found := bytes.CutPrefix(rest, []byte(d.prefix)); found && len(digest) == d.size {
			o.ok, o.hash, o.digest, o.digestName = d.hash != 0, d.hash, digest, d.name
			return o
		}
	}
	o.digestName = fmt.Sprintf("%d bytes that name no digest", len(rest))
	return o
}

// openECDSA finds the point z·G that the digest z must have for the signature (r, s) and the key Q to fit.
// Verification accepts if R = (z/s)·G + (r/s)·Q has the abscissa r (FIPS 186-5 section 6.4.2), so
// z·G = s·R - r·Q, with R one of the two points of abscissa r. All numbers here are public.
func openECDSA(pub *ecdsa.PublicKey, sig []byte, claimed Hash) opened {
	o := opened{hash: claimed}
	var v struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &v); err != nil || len(rest) > 0 {
		if len(sig) == 64 {
			o.note = "64 bytes are the two numbers side by side, as JOSE, WebCrypto and some HSMs write them; CloudFront wants them in ASN.1 DER"
		}
		return o
	}
	c := elliptic.P256().Params()
	inRange := func(n *big.Int) bool { return n.Sign() > 0 && n.Cmp(c.N) < 0 }
	if !inRange(v.R) || !inRange(v.S) {
		return o
	}
	key, err := pub.ECDH()
	if err != nil {
		return o
	}
	raw := key.Bytes()
	q := point{new(big.Int).SetBytes(raw[1:33]), new(big.Int).SetBytes(raw[33:])}
	// y² = x³ - 3x + b
	y := new(big.Int).Exp(v.R, big.NewInt(3), c.P)
	y.Sub(y, new(big.Int).Mul(big.NewInt(3), v.R)).Add(y, c.B).Mod(y, c.P)
	if y.ModSqrt(y, c.P) == nil {
		return o
	}
	sR := multiply(c, v.S, point{v.R, y})
	minusRQ := negate(c, multiply(c, v.R, q))
	for _, p := range []point{add(c, sR, minusRQ), add(c, negate(c, sR), minusRQ)} {
		if p.x != nil {
			o.points = append(o.points, append(append([]byte{4}, p.x.FillBytes(make([]byte, 32))...), p.y.FillBytes(make([]byte, 32))...))
		}
	}
	o.ok = len(o.points) > 0
	return o
}

// hits reports whether the signature is one over this text with this digest.
func (o *opened) hits(h Hash, text []byte) bool {
	var room [32]byte
	digest := h.digest(text, &room)
	if o.digest != nil {
		return h == o.hash && bytes.Equal(digest, o.digest)
	}
	z := new(big.Int).SetBytes(digest)
	if n := elliptic.P256().Params().N; z.Cmp(n) >= 0 {
		z.Sub(z, n)
	}
	k, err := ecdh.P256().NewPrivateKey(z.FillBytes(make([]byte, 32))) // the quickest z·G in the standard library
	if err != nil {
		return false
	}
	got := k.PublicKey().Bytes()
	for _, p := range o.points {
		if bytes.Equal(p, got) {
			return true
		}
	}
	return false
}

// point is a point of P-256 in affine coordinates; nil coordinates are the point at infinity. These few
// operations run a handful of times for one explanation, on public numbers only.
type point struct{ x, y *big.Int }

func negate(c *elliptic.CurveParams, p point) point {
	if p.x == nil {
		return p
	}
	return point{p.x, new(big.Int).Sub(c.P, p.y)}
}

func add(c *elliptic.CurveParams, p, q point) point {
	switch {
	case p.x == nil:
		return q
	case q.x == nil:
		return p
	}
	var slope *big.Int
	if p.x.Cmp(q.x) == 0 {
		if sum := new(big.Int).Add(p.y, q.y); sum.Mod(sum, c.P).Sign() == 0 {
			return point{}
		}
		slope = new(big.Int).Mul(p.x, p.x)
		slope.Mul(slope, big.NewInt(3)).Sub(slope, big.NewInt(3))
		slope.Mul(slope, new(big.Int).ModInverse(new(big.Int).Lsh(p.y, 1), c.P))
	} else {
		dx := new(big.Int).Sub(q.x, p.x)
		slope = new(big.Int).Sub(q.y, p.y)
		slope.Mul(slope, dx.ModInverse(dx.Mod(dx, c.P), c.P))
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, c.P)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, c.P)
	return point{x, y}
}

func multiply(c *elliptic.CurveParams, k *big.Int, p point) point {
	var sum point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = add(c, sum, sum)
		if k.Bit(i) == 1 {
			sum = add(c, sum, p)
		}
	}
	return sum
}
