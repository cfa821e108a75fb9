package bridge

import (
	"testing"
	"time"
	"unsafe"
)

// The machine has slept when the wall clock has gone on by more than the monotonic one, or when both
// have gone on by far too much. A clock that is set back, or by a little, tells nothing.
func TestSlept(t *testing.T) {
	t.Parallel()
	before := time.Now()
	for name, tt := range map[string]struct {
		wall, monotonic time.Duration // since before
		want            bool
	}{
		"awake":                           {clockInterval, clockInterval, false},
		"busy":                            {clockInterval + clockJump/2, clockInterval + clockJump/2, false},
		"the clock drifts":                {clockInterval + time.Second, clockInterval, false},
		"the clock is set back":           {-time.Hour, clockInterval, false},
		"asleep":                          {time.Hour, clockInterval, true},
		"asleep for a moment":             {clockInterval + clockJump + time.Second, clockInterval, true},
		"asleep, and the clock goes on":   {time.Hour, time.Hour, true},
		"suspended while it had to sleep": {clockInterval + clockJump + time.Second, clockInterval + clockJump + time.Second, true},
	} {
		after := reading(before, tt.wall, tt.monotonic)
		if got := after.Round(0).Sub(before.Round(0)); got != tt.wall {
			t.Fatalf("%s: the wall clock has gone on by %v, want %v", name, got, tt.wall)
		}
		if got := after.Sub(before); got != tt.monotonic {
			t.Fatalf("%s: the monotonic clock has gone on by %v, want %v", name, got, tt.monotonic)
		}
		if got := slept(before, after); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}

// reading returns a reading of clocks that have gone on by different amounts, which package time does
// not make: the monotonic one is in the second word.
func reading(from time.Time, wall, monotonic time.Duration) time.Time {
	t := from.Add(wall)
	words := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	words.ext += int64(monotonic - wall)
	return t
}
