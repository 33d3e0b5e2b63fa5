// The npm registry's clients through the checks of scenario.py.
//
// usage: node driver.js LIBRARY PROTOCOL HOST PORT PREFIX [USER PASSWORD]      (NODE_PATH names the installed packages)
//
// Each adapter turns its library's answers into true and false, Buffers or null, numbers or null; what it has no method
// for, the library lacks.
'use strict';
const { promisify } = require('util');

const [library, , host, port, prefix, username, password] = process.argv.slice(2);
const server = `${host}:${port}`;
const blob = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 256));
const large = Buffer.concat(Array(2000).fill(Buffer.from(Array.from({ length: 250 }, (_, i) => i + 1))));

// npm "memcached": callbacks; "not stored" comes as an error that says so.
function adaptMemcached() {
	const Memcached = require('memcached');
	const client = new Memcached(server, { timeout: 30000, retries: 0, maxValue: 1048576 });
	const call = (method, ...args) => promisify(client[method].bind(client))(...args);
	const stored = (method, ...args) =>
		call(method, ...args).catch((error) => {
			if (/not stored/i.test(String(error.message))) return false;
			throw error;
		});
	const bytes = (value) => (value === undefined ? null : Buffer.from(value));
	const absentAsNull = (answer) => (answer === false ? null : answer);
	return {
		set: (key, value, expire = 0) => stored('set', key, value, expire),
		get: async (key) => bytes(await call('get', key)),
		add: (key, value) => stored('add', key, value, 0),
		replace: (key, value) => stored('replace', key, value, 0),
		append: (key, value) => stored('append', key, value),
		prepend: (key, value) => stored('prepend', key, value),
		gets: async (key) => {
			const found = await call('gets', key);
			return [bytes(found[key]), found.cas];
		},
		cas: (key, value, token) => stored('cas', key, value, token, 0),
		incr: async (key, delta) => absentAsNull(await call('incr', key, delta)),
		decr: (key, delta) => call('decr', key, delta),
		touch: (key, expire) => call('touch', key, expire),
		getMany: async (keys) =>
			Object.fromEntries(Object.entries(await call('getMulti', keys)).map(([k, v]) => [k, bytes(v)])),
		delete: (key) => call('del', key),
		stats: async () => (await call('stats'))[0],
		flush: async () => (await call('flush'))[0] === true,
		close: () => client.end(),
	};
}

// memjs: binary, SASL; a number read back is what the server holds.
function adaptMemjs() {
	const { Client } = require('memjs');
	const login = username ? `${username}:${password}@` : '';
	const quiet = { log: () => {} };
	const client = Client.create(login + server, { timeout: 30, conntimeout: 30, retries: 1, logger: quiet });
	return {
		lacks: {
			prepend: 'its prepend sends the opcode of append',
			append_absent: 'takes "not stored" for an error',
			incr_absent: 'always creates an absent counter',
		},
		set: (key, value, expire = 0) => client.set(key, value, { expires: expire }),
		get: async (key) => (await client.get(key)).value,
		add: (key, value) => client.add(key, value, {}),
		replace: (key, value) => client.replace(key, value, {}),
		append: (key, value) => client.append(key, value),
		prepend: (key, value) => client.prepend(key, value),
		incr: async (key, delta) => (await client.increment(key, delta, {})).value,
		decr: async (key, delta) => (await client.decrement(key, delta, {})).value,
		touch: (key, expire) => client.touch(key, expire),
		delete: (key) => client.delete(key),
		stats: () => new Promise((resolve, reject) =>
			client.stats((error, _server, figures) => (error ? reject(error) : resolve(figures)))),
		flush: async () => {
			await promisify((done) => client.flush((error, result) => done(error, result)))();
			return true;
		},
		close: () => client.close(),
	};
}

// memcache-client: promises; an answer other than the wanted one is a rejection that carries it.
function adaptMemcacheClient() {
	const { MemcacheClient } = require('memcache-client');
	const client = new MemcacheClient({ server, cmdTimeout: 30000 });
	const refused = /NOT_STORED|NOT_FOUND|EXISTS/;
	const answered = async (promise, wanted) => {
		try {
			return String(await promise) === wanted;
		} catch (error) {
			if (refused.test(error.message)) return false;
			throw error;
		}
	};
	const number = async (promise) => {
		try {
			return Number(await promise);
		} catch (error) {
			if (refused.test(error.message)) return null;
			throw error;
		}
	};
	const bytes = (found) => (found === undefined ? null : Buffer.from(found.value));
	return {
		set: (key, value, expire = 0) => answered(client.set(key, value, { lifetime: expire }), 'STORED'),
		get: async (key) => bytes(await client.get(key)),
		add: (key, value) => answered(client.add(key, value), 'STORED'),
		replace: (key, value) => answered(client.replace(key, value), 'STORED'),
		append: (key, value) => answered(client.append(key, value), 'STORED'),
		prepend: (key, value) => answered(client.prepend(key, value), 'STORED'),
		gets: async (key) => {
			const found = await client.gets(key);
			return [bytes(found), found.casUniq];
		},
		cas: (key, value, token) => answered(client.cas(key, value, { casUniq: token }), 'STORED'),
		incr: (key, delta) => number(client.incr(key, delta)),
		decr: (key, delta) => number(client.decr(key, delta)),
		touch: (key, expire) => answered(client.touch(key, String(expire)), 'TOUCHED'),
		getMany: async (keys) =>
			Object.fromEntries(Object.entries(await client.get(keys)).map(([k, v]) => [k, bytes(v)])),
		delete: (key) => answered(client.delete(key), 'DELETED'),
		stats: async () => Object.fromEntries((await client.cmd('stats')).STAT),
		flush: () => answered(client.cmd('flush_all'), 'OK'),
		close: () => client.shutdown(),
	};
}

const adapters = { memcached: adaptMemcached, memjs: adaptMemjs, 'memcache-client': adaptMemcacheClient };

function want(seen, expected) {
	const same = Buffer.isBuffer(expected) ? Buffer.isBuffer(seen) && seen.equals(expected) : seen === expected;
	if (!same) throw new Error(`${String(seen).slice(0, 100)} instead of ${String(expected).slice(0, 100)}`);
}

function scenario(client, other) {
	const key = (name) => prefix + name;
	const holds = async (name, text) => want(await client.get(key(name)), text === null ? null : Buffer.from(text));
	return [
		['set_then_get', 'set', async () => {
			want(await client.set(key('blob'), blob), true);
			want(await client.get(key('blob')), blob);
		}],
		['get_absent', 'get', () => holds('absent', null)],
		['add_absent', 'add', async () => {
			want(await client.add(key('add'), 'one'), true);
			await holds('add', 'one');
		}],
		['add_present', 'add', async () => {
			want(await client.add(key('add'), 'two'), false);
			await holds('add', 'one');
		}],
		['replace_present', 'replace', async () => {
			want(await client.replace(key('add'), 'three'), true);
			await holds('add', 'three');
		}],
		['replace_absent', 'replace', async () => {
			want(await client.replace(key('absent'), 'no'), false);
			await holds('absent', null);
		}],
		['append', 'append', async () => {
			await client.set(key('ends'), 'mid');
			want(await client.append(key('ends'), '>'), true);
			await holds('ends', 'mid>');
		}],
		['prepend', 'prepend', async () => {
			want(await client.prepend(key('ends'), '<'), true);
			await holds('ends', '<mid>');
		}],
		['append_absent', 'append', async () => want(await client.append(key('absent'), '>'), false)],
		['cas_fresh', 'cas', async () => {
			await client.set(key('cas'), 'one');
			const [value, token] = await client.gets(key('cas'));
			want(value, Buffer.from('one'));
			want(await client.cas(key('cas'), 'two', token), true);
			await holds('cas', 'two');
		}],
		['cas_stale', 'cas', async () => {
			const [, token] = await client.gets(key('cas'));
			await other.set(key('cas'), 'between');
			want(await client.cas(key('cas'), 'late', token), false);
			await holds('cas', 'between');
		}],
		['incr', 'incr', async () => {
			await client.set(key('count'), '10');
			want(await client.incr(key('count'), 5), 15);
		}],
		['decr', 'decr', async () => want(await client.decr(key('count'), 6), 9)],
		['decr_below_zero', 'decr', async () => want(await client.decr(key('count'), 100), 0)],
		['incr_absent', 'incr', async () => want(await client.incr(key('absent'), 1), null)],
		['touch_present', 'touch', async () => {
			await client.set(key('touched'), 'x', 2);
			want(await client.touch(key('touched'), 100), true);
		}],
		['touch_absent', 'touch', async () => want(await client.touch(key('absent'), 100), false)],
		['multiget_100', 'getMany', async () => {
			const values = new Map(Array.from({ length: 100 }, (_, i) => [key(`many${i}`), `v${i}`.repeat(i + 1)]));
			for (const [name, value] of values) want(await client.set(name, value), true);
			const found = await client.getMany([key('absent'), ...values.keys()]);
			want(Object.keys(found).length, 100);
			for (const [name, value] of values) want(found[name], Buffer.from(value));
		}],
		['delete_present', 'delete', async () => {
			await client.set(key('gone'), 'x');
			want(await client.delete(key('gone')), true);
			await holds('gone', null);
		}],
		['delete_absent', 'delete', async () => want(await client.delete(key('absent')), false)],
		['expiry', 'set', async () => {
			want(await client.set(key('short'), 'x', 2), true);
			const end = Date.now() + 15000;
			while ((await client.get(key('short'))) !== null) {
				if (Date.now() > end) throw new Error('still there');
				await new Promise((resume) => setTimeout(resume, 50));
			}
			if (client.touch) await holds('touched', 'x');
		}],
		['large_value', 'set', async () => {
			want(await client.set(key('large'), large), true);
			want(await client.get(key('large')), large);
		}],
		['stats', 'stats', async () => {
			const figures = await client.stats();
			want(Number(figures.curr_items) > 0 && Number(figures.cmd_get) > 0, true);
		}],
		['flush', 'flush', async () => {
			want(await client.flush(), true);
			await holds('blob', null);
			want(await client.set(key('blob'), 'after'), true);
			await holds('blob', 'after');
		}],
	];
}

async function main() {
	const client = adapters[library]();
	const other = adapters[library]();
	for (const [name, operation, code] of scenario(client, other)) {
		const lack = (client.lacks || {})[name] || (client[operation] ? null : `has no ${operation}`);
		try {
			if (!lack) await code();
			console.log(lack ? `lack ${name} ${lack}` : `pass ${name}`);
		} catch (error) {
			console.log(`fail ${name} ${String(error && error.message).replace(/\s+/g, ' ')}`);
		}
	}
	client.close();
	other.close();
	process.exit(0);
}

main();
