package shard

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestExpiredKeysAreACounter that shows each key once, however often it is read.
func TestExpiredKeysAreACounter(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := newCluster(t, 1, func(o *Options) { o.Metrics = reg })
	for i := range 5 {
		c.want("n1", fmt.Sprintf("SET k%d v PX 1", i), "+OK\r\n")
	}
	c.eventually(func() error {
		families, err := reg.Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			if f.GetName() == "lockstep_shard_expired_keys_total" && f.GetType().String() == "COUNTER" {
				if got := f.Metric[0].Counter.GetValue(); got != 5 {
					return fmt.Errorf("%v keys", got)
				}
				return nil
			}
		}
		return fmt.Errorf("no such counter")
	})
	if got := c.group("n1").Figures(); got.Expired != 5 || got.UsedPeak == 0 {
		t.Errorf("%+v", got)
	}
}
