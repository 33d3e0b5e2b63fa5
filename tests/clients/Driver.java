// spymemcached (text and binary) through the checks of scenario.py.
//
// usage: java -cp ... Driver LIBRARY PROTOCOL HOST PORT PREFIX

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;
import net.spy.memcached.BinaryConnectionFactory;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.CachedData;
import net.spy.memcached.ConnectionFactory;
import net.spy.memcached.DefaultConnectionFactory;
import net.spy.memcached.MemcachedClient;
import net.spy.memcached.transcoders.Transcoder;

public final class Driver {
	/** Bytes as they are, without the library's serialization. */
	private static final class Raw implements Transcoder<byte[]> {
		@Override
		public boolean asyncDecode(CachedData data) {
			return false;
		}

		@Override
		public CachedData encode(byte[] bytes) {
			return new CachedData(0, bytes, CachedData.MAX_SIZE);
		}

		@Override
		public byte[] decode(CachedData data) {
			return data.getData();
		}

		@Override
		public int getMaxSize() {
			return CachedData.MAX_SIZE;
		}
	}

	private interface Check {
		void run() throws Exception;
	}

	private static final Raw RAW = new Raw();
	private static final long EXPIRY_DEADLINE_MS = 15000;
	private final MemcachedClient client;
	private final MemcachedClient other;
	private final String prefix;

	private Driver(String protocol, String host, int port, String prefix) throws IOException {
		InetSocketAddress server = new InetSocketAddress(host, port);
		this.client = new MemcachedClient(factory(protocol), Collections.singletonList(server));
		this.other = new MemcachedClient(factory(protocol), Collections.singletonList(server));
		this.prefix = prefix;
	}

	private static ConnectionFactory factory(String protocol) {
		return protocol.equals("binary") ? new BinaryConnectionFactory() : new DefaultConnectionFactory();
	}

	private String key(String name) {
		return prefix + name;
	}

	private static byte[] bytes(String text) {
		return text.getBytes();
	}

	private static void want(Object seen, Object expected) {
		if (!Objects.equals(seen, expected)) {
			throw new IllegalStateException(seen + " instead of " + expected);
		}
	}

	private boolean set(String name, byte[] value, int expire) throws Exception {
		return client.set(key(name), expire, value, RAW).get();
	}

	private void holds(String name, byte[] value) {
		byte[] seen = client.get(key(name), RAW);
		if (!Arrays.equals(seen, value)) {
			throw new IllegalStateException("holds " + (seen == null ? "nothing" : seen.length + " bytes"));
		}
	}

	private void check(String name, Check run) {
		try {
			run.run();
			System.out.println("pass " + name);
		} catch (Exception error) {
			System.out.println("fail " + name + " " + String.valueOf(error).replace('\n', ' '));
		}
	}

	private static byte[] pattern(int length, int first, int period) {
		byte[] out = new byte[length];
		for (int i = 0; i < length; i++) {
			out[i] = (byte) (first + i % period);
		}
		return out;
	}

	private void storage() {
		check("set_then_get", () -> {
			byte[] blob = pattern(1024, 0, 256);
			want(set("blob", blob, 0), true);
			holds("blob", blob);
		});
		check("get_absent", () -> holds("absent", null));
		check("add_absent", () -> {
			want(client.add(key("add"), 0, bytes("one"), RAW).get(), true);
			holds("add", bytes("one"));
		});
		check("add_present", () -> {
			want(client.add(key("add"), 0, bytes("two"), RAW).get(), false);
			holds("add", bytes("one"));
		});
		check("replace_present", () -> {
			want(client.replace(key("add"), 0, bytes("three"), RAW).get(), true);
			holds("add", bytes("three"));
		});
		check("replace_absent", () -> {
			want(client.replace(key("absent"), 0, bytes("no"), RAW).get(), false);
			holds("absent", null);
		});
		check("append", () -> {
			set("ends", bytes("mid"), 0);
			want(client.append(key("ends"), bytes(">"), RAW).get(), true);
			holds("ends", bytes("mid>"));
		});
		check("prepend", () -> {
			want(client.prepend(key("ends"), bytes("<"), RAW).get(), true);
			holds("ends", bytes("<mid>"));
		});
		check("append_absent", () -> want(client.append(key("absent"), bytes(">"), RAW).get(), false));
	}

	private void compareAndSwap() {
		check("cas_fresh", () -> {
			set("cas", bytes("one"), 0);
			CASValue<byte[]> found = client.gets(key("cas"), RAW);
			want(new String(found.getValue()), "one");
			want(client.cas(key("cas"), found.getCas(), bytes("two"), RAW), CASResponse.OK);
			holds("cas", bytes("two"));
		});
		check("cas_stale", () -> {
			CASValue<byte[]> found = client.gets(key("cas"), RAW);
			other.set(key("cas"), 0, bytes("between"), RAW).get();
			want(client.cas(key("cas"), found.getCas(), bytes("late"), RAW), CASResponse.EXISTS);
			holds("cas", bytes("between"));
		});
	}

	private void counters() {
		check("incr", () -> {
			set("count", bytes("10"), 0);
			want(client.incr(key("count"), 5), 15L);
		});
		check("decr", () -> want(client.decr(key("count"), 6), 9L));
		check("decr_below_zero", () -> want(client.decr(key("count"), 100), 0L));
		check("incr_absent", () -> want(client.incr(key("absent"), 1), -1L));
	}

	// The library sends touch as a binary command alone; on a text connection it throws.
	private void touch(boolean binary) {
		if (!binary) {
			System.out.println("lack touch_present has no touch in text");
			System.out.println("lack touch_absent has no touch in text");
			return;
		}
		check("touch_present", () -> {
			set("touched", bytes("x"), 2);
			want(client.touch(key("touched"), 100).get(), true);
		});
		check("touch_absent", () -> want(client.touch(key("absent"), 100).get(), false));
	}

	private void many() {
		check("multiget_100", () -> {
			Map<String, String> values = new HashMap<>();
			for (int i = 0; i < 100; i++) {
				values.put(key("many" + i), String.valueOf(i).repeat(i + 1));
			}
			for (Map.Entry<String, String> entry : values.entrySet()) {
				want(client.set(entry.getKey(), 0, bytes(entry.getValue()), RAW).get(), true);
			}
			List<String> keys = new ArrayList<>(values.keySet());
			keys.add(key("absent"));
			Map<String, String> found = new HashMap<>();
			client.getBulk(keys, RAW).forEach((name, value) -> found.put(name, new String(value)));
			want(found, values);
		});
	}

	private void endings(boolean binary) {
		check("delete_present", () -> {
			set("gone", bytes("x"), 0);
			want(client.delete(key("gone")).get(), true);
			holds("gone", null);
		});
		check("delete_absent", () -> want(client.delete(key("absent")).get(), false));
		check("expiry", () -> {
			want(set("short", bytes("x"), 2), true);
			long end = System.currentTimeMillis() + EXPIRY_DEADLINE_MS;
			while (client.get(key("short"), RAW) != null) {
				want(System.currentTimeMillis() < end, true);
				Thread.sleep(50);
			}
			if (binary) {
				holds("touched", bytes("x"));
			}
		});
	}

	private void server() {
		check("large_value", () -> {
			byte[] large = pattern(500000, 1, 250);
			want(set("large", large, 0), true);
			holds("large", large);
		});
		check("stats", () -> {
			Map<String, String> figures = client.getStats().values().iterator().next();
			want(Long.parseLong(figures.get("curr_items")) > 0, true);
			want(Long.parseLong(figures.get("cmd_get")) > 0, true);
		});
		check("flush", () -> {
			want(client.flush().get(), true);
			holds("blob", null);
			want(set("blob", bytes("after"), 0), true);
			holds("blob", bytes("after"));
		});
	}

	public static void main(String[] args) throws Exception {
		System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
		Logger.getLogger("net.spy").setLevel(Level.SEVERE);
		boolean binary = args[1].equals("binary");
		Driver driver = new Driver(args[1], args[2], Integer.parseInt(args[3]), args[4]);
		driver.storage();
		driver.compareAndSwap();
		driver.counters();
		driver.touch(binary);
		driver.many();
		driver.endings(binary);
		driver.server();
		driver.client.shutdown();
		driver.other.shutdown();
	}
}
