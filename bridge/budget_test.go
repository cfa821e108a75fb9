package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Many claims at once stay within the limit, the oldest one aside, and all get there.
func TestBudget(t *testing.T) {
	const limit, largest = 1000, 3000
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(limit)
		var work sync.WaitGroup
		for range 50 {
			work.Go(func() { // ends when all its claims were granted
				for range 20 {
					c := b.claim()
					for n := int64(0); n < largest && rand.N(4) > 0; {
						n += 1 + rand.Int64N(largest/2)
						if err := c.grow(t.Context(), n); err != nil {
							t.Error(err)
						}
						b.mu.Lock()
						used, oldest := int64(0), b.claims[0].n
						for _, other := range b.claims {
							used += other.n
						}
						if used != b.used || used-oldest > limit {
							t.Errorf("%d bytes are claimed, %d of them by the oldest; counted are %d, the limit is %d", used, oldest, b.used, limit)
						}
						b.mu.Unlock()
						time.Sleep(time.Duration(rand.N(10)))
					}
					c.release()
				}
			})
		}
		work.Wait()
		if b.used != 0 || len(b.claims) != 0 {
			t.Errorf("%d bytes of %d claims are left", b.used, len(b.claims))
		}
	})
}

// What does not fit waits for room, unless it is the oldest, and gives up when its context is done.
func TestBudgetWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		oldest, other := b.claim(), b.claim()
		for _, n := range []int64{60, 10, 60} { // less than before is nothing new
			if err := oldest.grow(t.Context(), n); err != nil || b.used != 60 {
				t.Fatalf("claiming %d: %v, %d are used", n, err, b.used)
			}
		}
		if err := other.grow(t.Context(), 40); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("no patience")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		if err := other.grow(ctx, 41); !errors.Is(err, cause) || b.used != 100 {
			t.Errorf("more than there is: %v, %d are used", err, b.used)
		}
		if err := oldest.grow(t.Context(), 500); err != nil {
			t.Errorf("the oldest: %v", err)
		}
		granted := make(chan error, 1)
		go func() { granted <- other.grow(t.Context(), 90) }() // ends when oldest gives back
		synctest.Wait()
		select {
		case err := <-granted:
			t.Errorf("it does not wait: %v", err)
		default:
		}
		oldest.release()
		oldest.release() // once more is no harm
		if err := <-granted; err != nil || b.used != 90 {
			t.Errorf("after release: %v, %d are used", err, b.used)
		}
		other.release()
	})
}

// While the host keeps up nobody waits, and whoever does goes on when the host has caught up,
// however little is in use then.
func TestBudgetEased(t *testing.T) {
	for _, inUse := range []int64{1, 99} {
		synctest.Test(t, func(t *testing.T) {
			var congested atomic.Bool
			b := newBudget(100)
			b.congested = congested.Load
			stalled, long := b.claim(), b.claim()
			if err := stalled.grow(t.Context(), inUse); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := long.grow(ctx, 150); err != nil {
				t.Errorf("with %d in use, before: %v", inUse, err)
			}
			congested.Store(true)
			time.AfterFunc(time.Second, func() {
				congested.Store(false)
				b.eased()
			})
			more := b.claim()
			start := time.Now()
			if err := more.grow(ctx, 200); err != nil || time.Since(start) != time.Second {
				t.Errorf("with %d in use, after: %v, %v later", inUse, err, time.Since(start))
			}
			long.release()
			more.release()
			congested.Store(true)
			time.AfterFunc(time.Second, func() {
				congested.Store(false)
				b.eased()
			})
			start = time.Now()
			if err := long.grow(ctx, 150); err != nil || time.Since(start) != time.Second {
				t.Errorf("with %d in use, alone: %v, %v later", inUse, err, time.Since(start))
			}
			long.release()
			stalled.release()
		})
	}
}

func TestNilClaim(t *testing.T) {
	var c *claim
	if err := c.grow(t.Context(), 1<<40); err != nil {
		t.Error(err)
	}
	c.release()
}
