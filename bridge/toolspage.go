package bridge

// A span is a part of a text.
type span struct{ start, end int }

// A toolsPage is where the tools stand in the text of an answer to tools/list.
type toolsPage struct {
	lists [][]span // of result.tools; there is one, unless the server has the member twice
	next  []byte   // the cursor of the next page as raw JSON; nil on the last one (spec 5.76)
}

// readToolsPage returns nil for what is no answer with a list of tools in it.
func readToolsPage(answer []byte) *toolsPage {
	page := &toolsPage{}
	members(answer, 0, func(key string, value span) {
		if key == "result" {
			members(answer, value.start, page.take(answer))
		}
	})
	if page.lists == nil {
		return nil
	}
	return page
}

// take returns a function that takes the members of the result.
func (p *toolsPage) take(answer []byte) func(key string, value span) {
	return func(key string, value span) {
		switch text := answer[value.start:value.end]; {
		case key == "nextCursor" && string(text) != "null":
			p.next = text
		case key == "tools" && text[0] == '[':
			list := []span{}
			s := scanner{b: answer, i: value.start}
			s.array(func(start, end int) { list = append(list, span{start, end}) })
			p.lists = append(p.lists, list)
		}
	}
}

// members hands each member of the object that begins at a place of valid JSON to visit. Anything else
// has none.
func members(text []byte, start int, visit func(key string, value span)) {
	s := scanner{b: text, i: start}
	if s.space() == '{' {
		s.object(func(key []byte, start, end int) { visit(string(plain(key)), span{start, end}) })
	}
}

// without returns an answer without those of the page's tools that withheld names, and without the
// commas that belong to them. All other bytes stay as they are; if nothing goes, it is the answer
// itself.
func (p *toolsPage) without(answer []byte, withheld func(tool []byte) bool) []byte {
	var kept []byte
	done := 0 // up to here answer is in kept, or cut
	for _, list := range p.lists {
		for _, cut := range cuts(list, func(at span) bool { return withheld(answer[at.start:at.end]) }) {
			kept = append(kept, answer[done:cut.start]...)
			done = cut.end
		}
	}
	if done == 0 {
		return answer
	}
	return append(kept, answer[done:]...)
}

// cuts returns what to cut out of an array with these elements, so that those are gone for which gone
// returns true. It asks for each one once, in their order.
func cuts(elements []span, gone func(span) bool) []span {
	var all []span
	for i := 0; i < len(elements); i++ {
		from := i
		for i < len(elements) && gone(elements[i]) {
			i++
		}
		switch { // elements[i], if there is one, stays
		case i == from:
		case i < len(elements): // up to the next one
			all = append(all, span{elements[from].start, elements[i].start})
		case from > 0: // with the comma before
			all = append(all, span{elements[from-1].end, elements[i-1].end})
		default:
			all = append(all, span{elements[0].start, elements[i-1].end})
		}
	}
	return all
}
