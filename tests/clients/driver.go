// gomemcache (text) through the checks of scenario.py. It fetches with gets always and has no append, prepend and stats.
//
// usage: driver LIBRARY PROTOCOL HOST PORT PREFIX
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const expiryDeadline = 15 * time.Second

type driver struct {
	client, other *memcache.Client
	prefix        string
}

func (d *driver) key(name string) string {
	return d.prefix + name
}

func (d *driver) item(name, value string) *memcache.Item {
	return &memcache.Item{Key: d.key(name), Value: []byte(value)}
}

func want(seen, expected error) error {
	if seen != expected {
		return fmt.Errorf("%v instead of %v", seen, expected)
	}
	return nil
}

func (d *driver) holds(name, value string) error {
	item, err := d.client.Get(d.key(name))
	if err != nil {
		return err
	}
	if string(item.Value) != value {
		return fmt.Errorf("holds %d bytes: %.60q", len(item.Value), item.Value)
	}
	return nil
}

func (d *driver) absent(name string) error {
	_, err := d.client.Get(d.key(name))
	return want(err, memcache.ErrCacheMiss)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func pattern(length, first, period int) string {
	out := make([]byte, length)
	for i := range out {
		out[i] = byte(first + i%period)
	}
	return string(out)
}

func (d *driver) casFresh() error {
	if err := d.client.Set(d.item("cas", "one")); err != nil {
		return err
	}
	item, err := d.client.Get(d.key("cas"))
	if err != nil {
		return err
	}
	item.Value = []byte("two")
	return first(d.client.CompareAndSwap(item), d.holds("cas", "two"))
}

func (d *driver) casStale() error {
	item, err := d.client.Get(d.key("cas"))
	if err != nil {
		return err
	}
	if err := d.other.Set(d.item("cas", "between")); err != nil {
		return err
	}
	item.Value = []byte("late")
	return first(want(d.client.CompareAndSwap(item), memcache.ErrCASConflict), d.holds("cas", "between"))
}

func number(seen uint64, err error, expected uint64) error {
	if err == nil && seen != expected {
		return fmt.Errorf("%d instead of %d", seen, expected)
	}
	return err
}

func (d *driver) incr() error {
	if err := d.client.Set(d.item("count", "10")); err != nil {
		return err
	}
	seen, err := d.client.Increment(d.key("count"), 5)
	return number(seen, err, 15)
}

func (d *driver) decr(delta, expected uint64) error {
	seen, err := d.client.Decrement(d.key("count"), delta)
	return number(seen, err, expected)
}

func (d *driver) incrAbsent() error {
	_, err := d.client.Increment(d.key("absent"), 1)
	return want(err, memcache.ErrCacheMiss)
}

func (d *driver) touchPresent() error {
	item := d.item("touched", "x")
	item.Expiration = 2
	return first(d.client.Set(item), d.client.Touch(d.key("touched"), 100))
}

func (d *driver) multiget() error {
	keys := []string{d.key("absent")}
	for i := 0; i < 100; i++ {
		item := d.item(fmt.Sprintf("many%d", i), strings.Repeat(fmt.Sprint(i), i+1))
		if err := d.client.Set(item); err != nil {
			return err
		}
		keys = append(keys, item.Key)
	}
	found, err := d.client.GetMulti(keys)
	if err != nil || len(found) != 100 {
		return fmt.Errorf("%d hits, %v", len(found), err)
	}
	for i, key := range keys[1:] {
		if !bytes.Equal(found[key].Value, []byte(strings.Repeat(fmt.Sprint(i), i+1))) {
			return fmt.Errorf("%s holds %.60q", key, found[key].Value)
		}
	}
	return nil
}

func (d *driver) expiry() error {
	item := d.item("short", "x")
	item.Expiration = 2
	if err := d.client.Set(item); err != nil {
		return err
	}
	end := time.Now().Add(expiryDeadline)
	for d.absent("short") != nil {
		if time.Now().After(end) {
			return fmt.Errorf("still there")
		}
		time.Sleep(50 * time.Millisecond)
	}
	return d.holds("touched", "x")
}

type check struct {
	name string
	run  func() error
}

func (d *driver) checks() []check {
	blob, large := pattern(1024, 0, 256), pattern(500000, 1, 250)
	return []check{
		{"set_then_get", func() error { return first(d.client.Set(d.item("blob", blob)), d.holds("blob", blob)) }},
		{"get_absent", func() error { return d.absent("absent") }},
		{"add_absent", func() error { return first(d.client.Add(d.item("add", "one")), d.holds("add", "one")) }},
		{"add_present", func() error {
			return first(want(d.client.Add(d.item("add", "two")), memcache.ErrNotStored), d.holds("add", "one"))
		}},
		{"replace_present", func() error {
			return first(d.client.Replace(d.item("add", "three")), d.holds("add", "three"))
		}},
		{"replace_absent", func() error {
			return first(want(d.client.Replace(d.item("absent", "no")), memcache.ErrNotStored), d.absent("absent"))
		}},
		{"cas_fresh", d.casFresh},
		{"cas_stale", d.casStale},
		{"incr", d.incr},
		{"decr", func() error { return d.decr(6, 9) }},
		{"decr_below_zero", func() error { return d.decr(100, 0) }},
		{"incr_absent", d.incrAbsent},
		{"touch_present", d.touchPresent},
		{"touch_absent", func() error { return want(d.client.Touch(d.key("absent"), 100), memcache.ErrCacheMiss) }},
		{"multiget_100", d.multiget},
		{"delete_present", func() error {
			return first(d.client.Set(d.item("gone", "x")), d.client.Delete(d.key("gone")), d.absent("gone"))
		}},
		{"delete_absent", func() error { return want(d.client.Delete(d.key("absent")), memcache.ErrCacheMiss) }},
		{"expiry", d.expiry},
		{"large_value", func() error { return first(d.client.Set(d.item("large", large)), d.holds("large", large)) }},
		{"flush", func() error {
			return first(d.client.FlushAll(), d.absent("blob"), d.client.Set(d.item("blob", "after")),
				d.holds("blob", "after"))
		}},
	}
}

func connect(server string) *memcache.Client {
	client := memcache.New(server)
	client.Timeout = 30 * time.Second
	return client
}

func main() {
	server := net.JoinHostPort(os.Args[3], os.Args[4])
	d := &driver{connect(server), connect(server), os.Args[5]}
	for _, check := range d.checks() {
		if err := check.run(); err != nil {
			fmt.Printf("fail %s %v\n", check.name, err)
		} else {
			fmt.Printf("pass %s\n", check.name)
		}
	}
	for _, name := range []string{"append", "prepend", "append_absent", "stats"} {
		fmt.Printf("lack %s has no %s\n", name, strings.TrimSuffix(name, "_absent"))
	}
}
