package bridge

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Messages pass in the order of their turns, whatever order they ask in.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		var turns []*turn
		for range 100 {
			turns = append(turns, o.next(false))
		}
		var passed []int
		var work sync.WaitGroup
		for i := len(turns) - 1; i >= 0; i-- {
			work.Go(func() { // ends after its turn
				if !turns[i].wait(t.Context()) {
					t.Error("the context is not done")
				}
				passed = append(passed, i) // nobody else does, while it is its turn
				turns[i].pass()
				turns[i].pass() // once more is no harm
			})
		}
		work.Wait()
		for i, got := range passed {
			if got != i {
				t.Fatalf("the order is %v", passed)
			}
		}
	})
}

// A message that takes long is waited for no longer than turnLimit, a firm one until it is done,
// by all that follow it.
func TestOrderLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var o order
		slow, second, firm, fourth, fifth := o.next(false), o.next(false), o.next(true), o.next(false), o.next(false)
		took := func(turn *turn, want time.Duration) {
			t.Helper()
			if !turn.wait(t.Context()) {
				t.Error("the context is not done")
			}
			if got := time.Since(start); got != want {
				t.Errorf("the turn came after %v, want %v", got, want)
			}
		}
		took(slow, 0)
		took(second, turnLimit)
		second.pass()
		took(firm, turnLimit)
		time.AfterFunc(time.Hour, firm.pass)
		took(fourth, time.Hour+turnLimit)
		took(fifth, time.Hour+2*turnLimit) // fourth did not pass
	})
}

// Whoever waits can leave, and the others don't notice.
func TestOrderLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o order
		firm, second, third := o.next(true), o.next(false), o.next(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, turn := range []*turn{second, third} {
			if turn.wait(ctx) {
				t.Error("the turn came before the barrier was lifted")
			}
		}
		second.pass()
		firm.pass()
		if start := time.Now(); !third.wait(t.Context()) || time.Since(start) > 0 {
			t.Errorf("the turn came after %v", time.Since(start))
		}
		if third.wait(ctx) {
			t.Error("a turn is no use when the context is done")
		}
	})
}

// The limit counts from the turn of the message before: a burst that takes longer than that keeps
// its order, until it takes longer than orderLimit in all.
func TestOrderOfALongBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 40
		start := time.Now()
		var o order
		var work sync.WaitGroup
		turns := make([]*turn, messages)
		for i := range turns {
			turns[i] = o.next(false)
		}
		var mu sync.Mutex
		var after []time.Duration
		for _, turn := range turns {
			work.Go(func() { // ends after its turn
				turn.wait(t.Context())
				mu.Lock()
				after = append(after, time.Since(start))
				mu.Unlock()
				time.Sleep(turnLimit / 2) // what it takes to write it
				turn.pass()
			})
		}
		work.Wait()
		for i, got := range after {
			if want := min(time.Duration(i)*turnLimit/2, orderLimit); got != want {
				t.Errorf("turn %d came after %v, want %v", i, got, want)
			}
		}
	})
}
