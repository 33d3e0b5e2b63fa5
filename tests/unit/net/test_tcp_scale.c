/*
 * Many connections on one stack, in virtual time: what an idle one costs, that finding one costs no more among a million,
 * and that opening, asking and closing for ever keeps nothing. 50 000 by default; make tcp-scale says 1 000 000.
 */
#include "tests/unit/net/tcp_rig.h"

#define MANY_DEFAULT 50000u
#define IDLE_AIM     320u /* bytes, table and slabs included */
#define MANY_LIMIT   (512ull << 20)
#define RESERVED     4096u

static unsigned many = MANY_DEFAULT;

static void
flow_of(unsigned i)
{
	rig.flow.remote = net_addr_v4(rte_cpu_to_be_32(0x0b000000u + i / 50000u));
	rig.flow.remote_port = rte_cpu_to_be_16((uint16_t)(2000u + i % 50000u));
}

static void
open_one(void)
{
	struct tcp_opt_syn o = {.mss = 1460, .wscale = 7, .options = 7, .tsval = 100};
	rig.opt_len = tcp_opt_syn(rig.opt, &o);
	in_only(SYN, 0, 0, 0, 60000);
	assert_int_equal(drop_out(), 1);
	option_ts(100, 0);
	in_only(ACK, 1, 0, 1, 500);
}

/* 20 bytes there and back again, so that every queue has been in use. */
static void
ask_one(void)
{
	in(ACK, 1, 20, 1, 500);
	expect(ACK, 1, 20, 21);
	in(ACK, 21, 0, 21, 500);
	expect_nothing();
	rig.bytes_len = 0;
}

static void
restart_for(unsigned connections)
{
	rig.config.connections_max = connections;
	rig.config.syn_backlog_max = RESERVED;
	rig.config.time_wait_max = RESERVED;
	rig.config.memory_bytes_max = (uint32_t)MANY_LIMIT;
	rig.echo = true;
	rig_restart();
}

/* Buckets and keys looked at for every connection of the table, a hundredth each. */
static void
lookup_cost(unsigned *buckets, unsigned *keys)
{
	const struct tcp_table *t = &rig.tcp->table;
	uint64_t visited = 0, compared = 0;
	for (unsigned i = 0; i < many; i++) {
		const struct tcp_conn *c = tcp_conn_at(rig.tcp, i);
		uint16_t tag = (uint16_t)(c->hash >> 16) ? (uint16_t)(c->hash >> 16) : 1;
		bool found = false;
		for (uint32_t at = c->hash & t->mask; !found; at = (at + 1) & t->mask) {
			visited++;
			for (unsigned way = 0; way < TCP_BUCKET_WAYS && !found; way++) {
				compared += t->buckets[at].tags[way] == tag;
				found = t->buckets[at].tags[way] == tag && t->buckets[at].refs[way] == i;
			}
		}
	}
	*buckets = (unsigned)(visited * 100 / many);
	*keys = (unsigned)(compared * 100 / many);
}

static void
idle_connection_costs_320_bytes_and_is_found_at_once(void **state)
{
	unsigned buckets, keys;
	restart_for(many);
	for (unsigned i = 0; i < many; i++) {
		flow_of(i);
		open_one();
		ask_one();
	}
	assert_int_equal(rig.accepted, many);
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	assert_int_equal(u.connections, many);
	assert_int_equal(u.memory_bytes, many * 256ull); /* blocks are all back */
	assert_int_equal(testpool_outstanding(rig.pool), 0);
	/* The table is a power of two of buckets, and entries have their own share of it. */
	uint64_t table_bytes = (rig.tcp->table.mask + 1ull) * sizeof(struct tcp_bucket);
	uint64_t share = table_bytes * many / (many + 2 * RESERVED);
	assert_true((u.memory_bytes + share) / many <= IDLE_AIM);
	assert_true(rig.allocated < MANY_LIMIT);
	lookup_cost(&buckets, &keys);
	assert_in_range(buckets, 100, 102);
	assert_in_range(keys, 100, 102);
	fprintf(stderr,
	    "# %u connections: %llu bytes allocated, %llu each; lookup: %u.%02u buckets, %u.%02u keys\n",
	    many, (unsigned long long)rig.allocated, (unsigned long long)(rig.allocated / many),
	    buckets / 100, buckets % 100, keys / 100, keys % 100);
	/* Those in the middle still work. */
	for (unsigned i = 0; i < many; i += many / 100) {
		flow_of(i);
		const struct tcp_conn *c = tcp_conn_at(
		    rig.tcp, tcp_table_find(rig.tcp, tcp_hash_flow(&rig.tcp->secrets, &rig.flow), &rig.flow));
		rig.iss = c->snd_nxt - 21;
		in(ACK, 21, 20, 21, 500);
		expect(ACK, 21, 20, 41);
		in(ACK, 41, 0, 41, 500);
		rig.bytes_len = 0;
	}
}

static void
accept_get_close_for_ever_keeps_nothing(void **state)
{
	uint64_t held = 0;
	restart_for(1000);
	for (unsigned i = 0; i < many; i++) {
		flow_of(i % 100000);
		open_one();
		ask_one();
		if (i % 2) { /* we close first: a TIME-WAIT entry, sooner or later evicted */
			tcp_close(rig.conn);
			tcp_flush(rig.tcp);
			expect(FIN | ACK, 21, 0, 21);
			in(FIN | ACK, 21, 0, 22, 500);
			expect(ACK, 22, 0, 22);
		} else {
			in(FIN | ACK, 21, 0, 21, 500);
			expect(ACK, 21, 0, 22);
			tcp_close(rig.conn);
			tcp_flush(rig.tcp);
			expect(FIN | ACK, 21, 0, 22);
			in(ACK, 22, 0, 22, 500);
		}
		assert_int_equal(rig.closed, i + 1);
		if (i == 2 * RESERVED)
			held = rig.allocated;
		rig.now_us += 1000;
	}
	assert_int_equal(rig.allocated, held);
	struct tcp_usage u;
	tcp_usage(rig.tcp, &u);
	assert_int_equal(u.connections + u.half_open, 0);
	assert_int_equal(u.memory_bytes, u.time_wait * 64ull);
	assert_true(u.time_wait <= RESERVED);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    TCP_TEST(idle_connection_costs_320_bytes_and_is_found_at_once),
	    TCP_TEST(accept_get_close_for_ever_keeps_nothing),
	};
	if (argc > 1)
		many = RTE_MAX((unsigned)strtoul(argv[1], NULL, 10), 3 * RESERVED);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
