<?php
// Both of PHP's extensions through the checks of scenario.py.
//
// usage: php driver.php LIBRARY PROTOCOL HOST PORT PREFIX [USER PASSWORD]
//
// php-memcached is built on libmemcached (text, binary, SASL), php-memcache speaks text by itself.

final class Differs extends Exception {}

[, $library, $protocol, $host, $port, $prefix] = $argv;
$login = array_slice($argv, 6);

interface Adapter {
	public function connect(): object;
	public function set(string $key, string $value, int $expire = 0): bool;
	public function store(string $how, string $key, string $value): bool;
	public function gets(string $key): array;
	public function cas(string $key, string $value, mixed $token): bool;
	public function getMany(array $keys): array;
	public function stats(): array;
	public function lacks(): array;
}

final class LibmemcachedAdapter implements Adapter {
	public Memcached $client;

	public function __construct() {
		$this->client = $this->connect();
	}

	public function connect(): object {
		global $protocol, $host, $port, $login;
		$client = new Memcached();
		$client->setOption(Memcached::OPT_COMPRESSION, false);
		$client->setOption(Memcached::OPT_BINARY_PROTOCOL, $protocol !== 'text');
		$client->setOption(Memcached::OPT_TCP_NODELAY, true);
		if ($login) {
			$client->setSaslAuthData($login[0], $login[1]);
		}
		$client->addServer($host, (int)$port);
		return $client;
	}

	public function set(string $key, string $value, int $expire = 0): bool {
		return $this->client->set($key, $value, $expire);
	}

	public function store(string $how, string $key, string $value): bool {
		return (bool)$this->client->$how($key, $value);
	}

	public function gets(string $key): array {
		$found = $this->client->get($key, null, Memcached::GET_EXTENDED);
		return [$found['value'], $found['cas']];
	}

	public function cas(string $key, string $value, mixed $token): bool {
		return $this->client->cas($token, $key, $value);
	}

	public function getMany(array $keys): array {
		return $this->client->getMulti($keys);
	}

	public function stats(): array {
		return current($this->client->getStats());
	}

	public function lacks(): array {
		return [];
	}
}

final class MemcacheAdapter implements Adapter {
	public Memcache $client;

	public function __construct() {
		$this->client = $this->connect();
	}

	public function connect(): object {
		global $host, $port;
		$client = new Memcache();
		$client->addServer($host, (int)$port, false);
		return $client;
	}

	public function set(string $key, string $value, int $expire = 0): bool {
		return $this->client->set($key, $value, 0, $expire);
	}

	public function store(string $how, string $key, string $value): bool {
		return (bool)$this->client->$how($key, $value);
	}

	public function gets(string $key): array {
		$flags = $token = null;
		$value = $this->client->get($key, $flags, $token);
		return [$value, $token];
	}

	public function cas(string $key, string $value, mixed $token): bool {
		return (bool)$this->client->cas($key, $value, 0, 0, $token);
	}

	public function getMany(array $keys): array {
		return $this->client->get($keys);
	}

	public function stats(): array {
		return $this->client->getStats();
	}

	public function lacks(): array {
		return ['touch_present' => 'has no touch', 'touch_absent' => 'has no touch'];
	}
}

function key_of(string $name): string {
	global $prefix;
	return $prefix . $name;
}

function want(mixed $seen, mixed $expected): void {
	if ($seen !== $expected) {
		throw new Differs(substr(var_export($seen, true), 0, 100) . ' instead of ' .
			substr(var_export($expected, true), 0, 100));
	}
}

function check(string $name, callable $code): void {
	global $adapter;
	$lacks = $adapter->lacks();
	if (isset($lacks[$name])) {
		echo "lack $name $lacks[$name]\n";
		return;
	}
	try {
		$code();
		echo "pass $name\n";
	} catch (Throwable $error) {
		echo "fail $name " . strtr($error->getMessage(), "\n", ' ') . "\n";
	}
}

error_reporting(E_ALL & ~E_NOTICE & ~E_DEPRECATED);
$adapter = $library === 'php-memcached' ? new LibmemcachedAdapter() : new MemcacheAdapter();
$client = $adapter->client;
$other = $adapter->connect();
$touches = !isset($adapter->lacks()['touch_present']);
$blob = str_repeat(implode(array_map('chr', range(0, 255))), 4);
$large = str_repeat(implode(array_map('chr', range(1, 250))), 2000);

check('set_then_get', function () use ($adapter, $client, $blob) {
	want($adapter->set(key_of('blob'), $blob), true);
	want($client->get(key_of('blob')), $blob);
});
check('get_absent', fn() => want($client->get(key_of('absent')), false));
check('add_absent', function () use ($adapter, $client) {
	want($adapter->store('add', key_of('add'), 'one'), true);
	want($client->get(key_of('add')), 'one');
});
check('add_present', function () use ($adapter, $client) {
	want($adapter->store('add', key_of('add'), 'two'), false);
	want($client->get(key_of('add')), 'one');
});
check('replace_present', function () use ($adapter, $client) {
	want($adapter->store('replace', key_of('add'), 'three'), true);
	want($client->get(key_of('add')), 'three');
});
check('replace_absent', function () use ($adapter, $client) {
	want($adapter->store('replace', key_of('absent'), 'no'), false);
	want($client->get(key_of('absent')), false);
});
check('append', function () use ($adapter, $client) {
	$adapter->set(key_of('ends'), 'mid');
	want($adapter->store('append', key_of('ends'), '>'), true);
	want($client->get(key_of('ends')), 'mid>');
});
check('prepend', function () use ($adapter, $client) {
	want($adapter->store('prepend', key_of('ends'), '<'), true);
	want($client->get(key_of('ends')), '<mid>');
});
check('append_absent', fn() => want($adapter->store('append', key_of('absent'), '>'), false));
check('cas_fresh', function () use ($adapter, $client) {
	$adapter->set(key_of('cas'), 'one');
	[$value, $token] = $adapter->gets(key_of('cas'));
	want($value, 'one');
	want($adapter->cas(key_of('cas'), 'two', $token), true);
	want($client->get(key_of('cas')), 'two');
});
check('cas_stale', function () use ($adapter, $client, $other) {
	[, $token] = $adapter->gets(key_of('cas'));
	$other->set(key_of('cas'), 'between');
	want($adapter->cas(key_of('cas'), 'late', $token), false);
	want($client->get(key_of('cas')), 'between');
});
check('incr', function () use ($adapter, $client) {
	$adapter->set(key_of('count'), '10');
	want($client->increment(key_of('count'), 5), 15);
});
check('decr', fn() => want($client->decrement(key_of('count'), 6), 9));
check('decr_below_zero', fn() => want($client->decrement(key_of('count'), 100), 0));
check('incr_absent', fn() => want($client->increment(key_of('absent'), 1), false));
check('touch_present', function () use ($adapter, $client) {
	$adapter->set(key_of('touched'), 'x', 2);
	want($client->touch(key_of('touched'), 100), true);
});
check('touch_absent', fn() => want($client->touch(key_of('absent'), 100), false));
check('multiget_100', function () use ($adapter) {
	$values = [];
	for ($i = 0; $i < 100; $i++) {
		$values[key_of("many$i")] = str_repeat((string)$i, $i + 1);
		want($adapter->set(key_of("many$i"), $values[key_of("many$i")]), true);
	}
	$found = $adapter->getMany([key_of('absent'), ...array_keys($values)]);
	ksort($found);
	ksort($values);
	want($found, $values);
});
check('delete_present', function () use ($adapter, $client) {
	$adapter->set(key_of('gone'), 'x');
	want($client->delete(key_of('gone')), true);
	want($client->get(key_of('gone')), false);
});
check('delete_absent', fn() => want($client->delete(key_of('absent')), false));
check('expiry', function () use ($adapter, $client, $touches) {
	want($adapter->set(key_of('short'), 'x', 2), true);
	$end = microtime(true) + 15;
	while ($client->get(key_of('short')) !== false) {
		if (microtime(true) > $end) {
			throw new Differs('still there');
		}
		usleep(50000);
	}
	if ($touches) {
		want($client->get(key_of('touched')), 'x');
	}
});
check('large_value', function () use ($adapter, $client, $large) {
	want($adapter->set(key_of('large'), $large), true);
	want($client->get(key_of('large')), $large);
});
check('stats', function () use ($adapter) {
	$figures = $adapter->stats();
	want($figures['curr_items'] > 0, true);
	want($figures['cmd_get'] > 0, true);
});
check('flush', function () use ($adapter, $client) {
	want($client->flush(), true);
	want($client->get(key_of('blob')), false);
	want($adapter->set(key_of('blob'), 'after'), true);
	want($client->get(key_of('blob')), 'after');
});
