package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/s3/objects"
)

// crashEnv, when set, makes the test binary the process that is killed: the folder it writes to.
const crashEnv = "POSTERN_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		fmt.Fprintln(os.Stderr, crashChild(dir))
		os.Exit(1) // it only ends by being killed
	}
	os.Exit(m.Run())
}

// content is what an object holds, as the two processes name it: "seed:size", or "-" for no object.
type content string

func (c content) bytes() []byte {
	var seed uint64
	var size int
	if _, err := fmt.Sscanf(string(c), "%d:%d", &seed, &size); err != nil {
		panic(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

const (
	crashWorkers = 4
	crashKeys    = 3 // per worker, so that the last writer of a key is known
)

// crashChild changes objects until it is killed, and prints a line before each change and after its
// acknowledgement.
func crashChild(dir string) error {
	l, err := Open(Config{Dir: dir, Now: time.Now, Logger: slog.New(slog.DiscardHandler), MinPartSize: 1})
	if err != nil {
		return err
	}
	ctx := context.Background()
	left, err := l.ListUploads(ctx, "b", objects.ListUploadsRequest{Max: 1000})
	if err != nil {
		return err
	}
	for _, u := range left.Uploads {
		if err := l.AbortUpload(ctx, "b", u.Key, u.ID); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	say := func(format string, a ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(os.Stdout, format+"\n", a...)
	}
	failed := make(chan error)
	for w := range crashWorkers {
		go func() {
			for {
				if err := crashChange(ctx, l, w, say); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// crashChange makes one random change.
func crashChange(ctx context.Context, l *Backend, worker int, say func(string, ...any)) error {
	op := rand.Uint64()
	key := fmt.Sprintf("w%d/k%d", worker, rand.IntN(crashKeys))
	sizes := []int{0, 1, 1000, 1000, 5000, 300 << 10, 700 << 10}
	c := content(fmt.Sprintf("%d:%d", rand.Uint64(), sizes[rand.IntN(len(sizes))]))
	var err error
	switch rand.IntN(6) {
	case 0:
		say("begin %d %s -", op, key)
		err = l.Delete(ctx, "b", key)
	case 1:
		c = content(fmt.Sprintf("%d:%d", rand.Uint64(), 1000+rand.IntN(500<<10)))
		var u objects.Upload
		u, err = l.CreateUpload(ctx, objects.UploadRequest{Bucket: "b", Key: key})
		in := objects.CompleteRequest{Bucket: "b", Key: key, UploadID: u.ID}
		b := c.bytes()
		for n := 1; n <= 3 && err == nil; n++ {
			part := b[:len(b)/3+1/n*len(b)/9]
			if n == 3 {
				part = b
			}
			b = b[len(part):]
			var p objects.Part
			p, err = l.PutPart(ctx, objects.PartRequest{Bucket: "b", Key: key, UploadID: u.ID, Number: n, Body: bytes.NewReader(part), Size: -1})
			in.Parts = append(in.Parts, objects.CompletePart{Number: n, ETag: p.ETag})
		}
		if err == nil {
			say("begin %d %s %s", op, key, c)
			_, err = l.CompleteUpload(ctx, in)
		}
	case 2:
		source := fmt.Sprintf("w%d/source", worker)
		say("begin %d %s %s", op, source, c)
		_, err = l.Put(ctx, objects.PutRequest{Bucket: "b", Key: source, Body: bytes.NewReader(c.bytes()), Size: -1})
		if err == nil {
			say("done %d", op)
			op++
			say("begin %d %s %s", op, key, c)
			_, err = l.Copy(ctx, objects.CopyRequest{Bucket: "b", Key: key, SourceBucket: "b", SourceKey: source})
		}
	default:
		say("begin %d %s %s", op, key, c)
		_, err = l.Put(ctx, objects.PutRequest{Bucket: "b", Key: key, Body: bytes.NewReader(c.bytes()), Size: -1})
	}
	if err == nil {
		say("done %d", op)
	}
	return err
}

// TestCrash kills a writing process at random points. Whatever it acknowledged is there and whole; what
// it had begun is there or not, whole; and no file is left that nobody owns.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	state := make(map[string]content)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		begun := crashRun(t, dir, state)
		l := openTest(t, dir)
		checkFiles(t, l, dir)
		for w := range crashWorkers {
			for _, k := range []string{"k0", "k1", "k2", "source"} {
				key := fmt.Sprintf("w%d/%s", w, k)
				state[key] = crashFound(t, l, key, append(begun[key], state[key]))
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

// crashRun runs a child, kills it after a random number of lines, brings state up to what was
// acknowledged, and returns what had been begun of each key.
func crashRun(t *testing.T, dir string, state map[string]content) (begun map[string][]content) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+dir)
	var stderr bytes.Buffer
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	type change struct {
		key string
		c   content
	}
	open := make(map[string]change)
	left := 1 + rand.IntN(250)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 4 && f[0] == "begin":
			open[f[1]] = change{f[2], content(f[3])}
		case len(f) == 2 && f[0] == "done":
			c := open[f[1]]
			state[c.key] = c.c
			delete(open, f[1])
		default:
			t.Fatalf("the child said %q", lines.Text())
		}
		if left--; left == 0 {
			child.Process.Kill()
		}
	}
	child.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("the child failed: %s", stderr.String())
	}
	if left > 0 {
		t.Fatal("the child ended by itself")
	}
	begun = make(map[string][]content)
	for _, c := range open {
		begun[c.key] = append(begun[c.key], c.c)
	}
	return begun
}

// crashFound says which of the contents allowed the key has.
func crashFound(t *testing.T, l *Backend, key string, allowed []content) content {
	t.Helper()
	_, body, err := l.Get(t.Context(), "b", key)
	if errors.Is(err, objects.ErrNotFound) {
		for _, c := range allowed {
			if c == "-" || c == "" {
				return "-"
			}
		}
		t.Errorf("%s is lost; it had %v", key, allowed)
		return "-"
	}
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return "-"
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
	for _, c := range allowed {
		if c != "-" && c != "" && bytes.Equal(got, c.bytes()) {
			return c
		}
	}
	t.Errorf("%s has %d bytes that are none of %v", key, len(got), allowed)
	return "-"
}
