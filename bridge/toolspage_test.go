package bridge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// FuzzToolsPage cuts tools out of any answer: what is left is JSON, of which only those are gone.
func FuzzToolsPage(f *testing.F) {
	for _, answer := range []string{
		`{"result":{"tools":[1,2,3]}}`, `{"result":{"tools":[ 1 , 2 ,3 ] ,"nextCursor":"a"}}`, `{"result":{"tools":[]}}`,
		`{"result":{"tools":[{"a":"]"},[1,2]],"tools":[1]},"result":{"tools":["x"]}}`, `{"result":7,"tools":[1]}`, `[]`,
	} {
		for mask := range uint8(8) {
			f.Add([]byte(answer), mask)
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, mask uint8) {
		if m, err := parse(slices.Clone(answer)); err != nil || m.kind == batch {
			return
		}
		before := string(answer)
		page := readToolsPage(answer)
		if page == nil {
			return
		}
		var want []string // the tools that stay, of all lists
		n := 0
		got := page.without(answer, func(tool []byte) bool {
			gone := mask>>(n%8)&1 == 1
			n++
			if !gone {
				want = append(want, string(tool))
			}
			return gone
		})
		if string(answer) != before {
			t.Fatal("the answer itself was written to")
		}
		if len(want) == n && string(got) != before {
			t.Fatalf("nothing is gone from %s, but it became %s", before, got)
		}
		if !json.Valid(got) {
			t.Fatalf("%s became %s, which is no JSON", before, got)
		}
		left := readToolsPage(got)
		if left == nil || len(left.lists) != len(page.lists) || string(left.next) != string(page.next) {
			t.Fatalf("%s became %s, which is another page", before, got)
		}
		var stayed []string
		for _, list := range left.lists {
			for _, tool := range list {
				stayed = append(stayed, string(got[tool.start:tool.end]))
			}
		}
		if !slices.Equal(stayed, want) {
			t.Fatalf("%s became %s, but %s should be left", before, got, strings.Join(want, " "))
		}
	})
}
