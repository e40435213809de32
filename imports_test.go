// Package postern holds the one rule that belongs to no room: who may import whom (imports.txt).
package postern

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "postern"

// law is imports.txt: for each room, the imports outside the standard library that its shipped files
// may have. Test files are free: they bring the real counterparts.
type law map[string]map[string]bool

func readLaw(t *testing.T, name string) law {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rules := law{}
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		room, may, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("%s:%d: want `room: imports`", name, n)
		}
		room = strings.TrimSpace(room)
		if rules[room] != nil {
			t.Fatalf("%s:%d: %s stands there twice", name, n, room)
		}
		rules[room] = map[string]bool{}
		for _, imp := range strings.Fields(may) {
			rules[room][imp] = true
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return rules
}

// shippedImports maps each room to what its non-test files import, outside the standard library.
// It parses the sources itself, whatever their build constraints, so that a tag hides nothing.
func shippedImports(t *testing.T) map[string]map[string]bool {
	t.Helper()
	rooms := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		room := path.Dir(filepath.ToSlash(file))
		if rooms[room] == nil {
			rooms[room] = map[string]bool{}
		}
		for _, spec := range parsed.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(imp, "/")
			if first == module {
				rooms[room][strings.TrimPrefix(imp, module+"/")] = true
			} else if strings.Contains(first, ".") {
				rooms[room][imp] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}

// TestImportLaw: every room stands in imports.txt, imports only what its line says, and its line says
// nothing that it no longer imports.
func TestImportLaw(t *testing.T) {
	rules, rooms := readLaw(t, "imports.txt"), shippedImports(t)
	if len(rooms) < 5 {
		t.Fatalf("found only %d rooms: the walk is broken", len(rooms))
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		may, ok := rules[room]
		if !ok {
			t.Errorf("%s has no line in imports.txt", room)
			continue
		}
		for _, imp := range slices.Sorted(maps.Keys(rooms[room])) {
			if !may[imp] {
				t.Errorf("%s imports %s, which its line in imports.txt does not allow", room, imp)
			}
			if strings.HasPrefix(imp, "cmd/") {
				t.Errorf("%s imports %s: nobody imports cmd", room, imp)
			}
			if strings.HasSuffix(imp, "test") && !strings.HasSuffix(room, "test") {
				t.Errorf("%s ships %s, which is for tests", room, imp)
			}
		}
		for _, imp := range slices.Sorted(maps.Keys(may)) {
			if !rooms[room][imp] {
				t.Errorf("imports.txt lets %s import %s, which it does not: take it off the line", room, imp)
			}
		}
	}
	for _, room := range slices.Sorted(maps.Keys(rules)) {
		if rooms[room] == nil {
			t.Errorf("imports.txt has a line for %s, which is no room", room)
		}
	}
	// The layers of docs/DESIGN.md section 4 that no edit of imports.txt may loosen.
	if got := rooms["signed"]; len(got) != 0 {
		t.Errorf("signed is for everybody and imports the standard library only; it imports %v", slices.Sorted(maps.Keys(got)))
	}
	services := []string{"internal/s3", "internal/cloudfront", "internal/kms", "internal/ssm", "internal/secretsmanager", "internal/iam", "internal/sts", "internal/lambda", "internal/apigateway"}
	for _, room := range services {
		for imp := range rooms[room] {
			for _, other := range services {
				if other != room && (imp == other || strings.HasPrefix(imp, other+"/")) {
					t.Errorf("%s imports %s: services do not import each other", room, imp)
				}
			}
		}
	}
	for room, imps := range rooms {
		if room != "internal/edge" && !strings.HasPrefix(room, "internal/edge/") {
			continue
		}
		for imp := range imps {
			if slices.Contains(services, imp) {
				t.Errorf("%s imports %s: the edge knows no service", room, imp)
			}
		}
	}
}
