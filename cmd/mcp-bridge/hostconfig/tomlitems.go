package hostconfig

import (
	"bytes"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// A tomlItem is the header of a table, or a key with its value.
type tomlItem struct {
	header     bool
	list       bool     // a header of an array of tables
	path       []string // from the root
	start, end int      // all of it; lines as a whole if it isn't within an inline table
	key, leaf  int      // where the key begins, and the last part of it
	value      int      // where the value begins
	valueEnd   int      // and ends
	inline     bool     // is within an inline table
	table      bool     // the value is an inline table
}

// tomlItems returns what is in a valid text, in its order.
func tomlItems(text []byte) []tomlItem {
	var p unstable.Parser
	p.Reset(text)
	var items []tomlItem
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			item := tomlItem{header: true, list: node.Kind == unstable.ArrayTable}
			item.path, item.start, item.end = tomlKey(node)
			table = item.path
			items = append(items, item.wholeLines(text))
		case unstable.KeyValue:
			items = appendKeyValue(items, text, node, table, false)
		default:
		}
	}
	return items
}

// tomlKey returns the key of a node, and where it begins and ends.
func tomlKey(node *unstable.Node) (key []string, start, end int) {
	start = -1
	for it := node.Key(); it.Next(); {
		part := it.Node()
		key = append(key, string(part.Data))
		if start < 0 {
			start = int(part.Raw.Offset)
		}
		end = int(part.Raw.Offset + part.Raw.Length)
	}
	return key, start, end
}

// appendKeyValue appends a key with its value, and what is in that if it is an inline table.
func appendKeyValue(items []tomlItem, text []byte, node *unstable.Node, table []string, inline bool) []tomlItem {
	key, start, end := tomlKey(node)
	item := tomlItem{path: slices.Concat(table, key), start: start, key: start, inline: inline}
	for it := node.Key(); it.Next(); {
		item.leaf = int(it.Node().Raw.Offset)
	}
	item.end = int(node.Raw.Offset + node.Raw.Length)
	item.valueEnd = item.start + len(bytes.TrimRight(text[item.start:item.end], " \t\r\n"))
	equals := end + bytes.IndexByte(text[end:], '=') + 1
	item.value = equals + len(text[equals:]) - len(bytes.TrimLeft(text[equals:], " \t"))
	value := node.Value()
	item.table = value.Kind == unstable.InlineTable
	if !inline {
		item = item.wholeLines(text)
	}
	items = append(items, item)
	if item.table {
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				items = appendKeyValue(items, text, it.Node(), item.path, true)
			}
		}
	}
	return items
}

// wholeLines lets the item begin and end with its lines.
func (item tomlItem) wholeLines(text []byte) tomlItem {
	item.start = bytes.LastIndexByte(text[:item.start], '\n') + 1
	if n := bytes.IndexByte(text[item.end:], '\n'); n >= 0 {
		item.end += n + 1
	} else {
		item.end = len(text)
	}
	return item
}

// A span is a part of a text.
type span struct{ start, end int }

// spansOf returns the parts of text that make up what is at path.
func spansOf(text []byte, path []string) []span {
	var spans []span
	joined := false // whether the item before was one, too
	for _, item := range tomlItems(text) {
		if item.inline {
			if slices.Equal(item.path, path) {
				spans = append(spans, span{item.start, item.valueEnd})
			}
			continue
		}
		within := len(item.path) >= len(path) && slices.Equal(item.path[:len(path)], path)
		switch {
		case within && joined:
			spans[len(spans)-1].end = item.end
		case within && item.header:
			spans = append(spans, span{commentAbove(text, item.start), item.end})
		case within:
			spans = append(spans, span{item.start, item.end})
		}
		joined = within
	}
	return spans
}

// commentAbove returns where the comment lines begin that stand right above a place.
func commentAbove(text []byte, at int) int {
	for at > 0 {
		start := bytes.LastIndexByte(text[:at-1], '\n') + 1
		if !bytes.HasPrefix(bytes.TrimLeft(text[start:at], " \t"), []byte("#")) {
			break
		}
		at = start
	}
	return at
}
