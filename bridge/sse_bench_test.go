package bridge

import (
	"io"
	"strings"
	"testing"
)

func BenchmarkEventReader(b *testing.B) {
	for name, event := range map[string]string{
		"200B":      "event: message\ndata: " + strings.Repeat("x", 177) + "\n\n",
		"1MiB":      "event: message\ndata: " + strings.Repeat("x", 1<<20) + "\n\n",
		"DataLines": "event: message\n" + strings.Repeat("data: "+strings.Repeat("x", 34)+"\n", 1<<10) + "\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			r := newEventReader(b.Context(), io.LimitReader(&repeat{text: event}, int64(b.N)*int64(len(event))), noLimit, nil)
			events := 0
			for {
				if _, err := r.next(); err != nil {
					break
				}
				events++
			}
			if events != b.N {
				b.Fatalf("got %d events, want %d", events, b.N)
			}
		})
	}
}
