/*
 * From a seed to a case. Most are small and ugly; a few are large; half begin near the sequence wrap.
 */
#include "sim.h"

#include <stdio.h>

#define ONE_IN(n) (1000000u / (n))

static uint32_t
pick(struct sim_rng *rng, const uint32_t *values, unsigned n)
{
	return values[sim_rand(rng) % n];
}
#define PICK(rng, ...) \
	pick(rng, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void
make_link(struct sim_rng *rng, struct sim_link_params *link)
{
	link->loss_ppm = PICK(rng, 0, 0, 1000, 10000, 30000, 50000, 100000, 200000);
	link->duplicate_ppm = PICK(rng, 0, 0, 0, 10000, 100000, 300000);
	link->reorder_ppm = PICK(rng, 0, 0, 0, 10000, 100000, 300000);
	link->delay_us = PICK(rng, 5, 20, 100, 1000, 10000, 50000);
	link->jitter_us = PICK(rng, 0, 0, 3, 50, 1000, 20000);
	link->reorder_us = sim_between(rng, 1, link->delay_us * 4 + 10);
	link->bytes_per_s = PICK(rng, 0, 0, 0, 100000000, 1000000, 100000);
	link->queue_bytes = PICK(rng, 3000, 20000, 100000, 1000000);
}

static void
make_app(struct sim_rng *rng, struct sim_app_params *app, uint32_t bytes_max)
{
	app->send_bytes = sim_chance(rng, ONE_IN(8)) ? 0 : sim_between(rng, 0, bytes_max);
	app->write_max = PICK(rng, 7, 100, 1000, 1448, 5000, 70000);
	if (app->send_bytes / app->write_max > 2000)
		app->write_max = app->send_bytes / 2000;
	app->think_us = PICK(rng, 0, 0, 0, 10, 1000, 100000);
	if ((uint64_t)app->send_bytes / app->write_max * app->think_us > 600000000)
		app->think_us = 1000;
	app->pause_ppm = PICK(rng, 0, 0, 0, 10000, 200000, 500000);
	app->pause_us = PICK(rng, 10, 1000, 50000, 1000000);
}

static void
make_config(struct sim_rng *rng, struct tcp_config *config)
{
	tcp_config_default(config);
	config->connections_max = 8;
	config->syn_backlog_max = 8;
	config->time_wait_max = 8;
	config->memory_bytes_max = 16u << 20;
	config->rcv_buffer_bytes = PICK(rng, 500, 3000, 16384, 65535, 65536, 262144, 1048576);
	config->snd_buffer_bytes = PICK(rng, 1000, 16384, 65536, 262144);
	config->rto_min_us = PICK(rng, 50000, 200000);
	config->user_timeout_us = 3600u * 1000000u;
	config->fin_wait2_us = 3600u * 1000000u;
	config->keepalive_probes = 30;
	config->mbuf_reserve = (uint16_t)PICK(rng, 0, 0, 1, 16);
	config->mss_max = (uint16_t)PICK(rng, 0, 0, 0, 88, 536, 1000, 1201);
	config->congestion = sim_chance(rng, ONE_IN(2)) ? TCP_CUBIC : TCP_RENO;
}

void
sim_case_make(struct sim_case *c, uint64_t seed)
{
	struct sim_rng rng = {seed * 0xd1342543de82ef95ull + 1};
	static const uint32_t sizes[] = {100, 2000, 10000, 10000, 30000, 30000};
	*c = (struct sim_case){.seed = seed, .abort_at_us = SIM_NEVER};
	uint32_t bytes_max = sim_chance(&rng, ONE_IN(400)) ? 2000000 : pick(&rng, sizes, 6);
	bool calm = sim_chance(&rng, ONE_IN(10));
	for (unsigned h = 0; h < 2; h++) {
		make_link(&rng, &c->link[h]);
		make_app(&rng, &c->app[h], bytes_max);
		make_config(&rng, &c->config[h]);
		c->mtu[h] = (uint16_t)PICK(&rng, 1500, 1500, 1500, 576, 9000);
		if (calm)
			c->link[h].loss_ppm = c->link[h].duplicate_ppm = c->link[h].reorder_ppm = 0;
	}
	/* Both ends waiting for the other's FIN would wait for ever. */
	c->app[sim_rand(&rng) & 1].close =
	    sim_chance(&rng, ONE_IN(2)) ? SIM_CLOSE_AFTER_PEER : SIM_CLOSE_WHEN_SENT;
	c->mbuf_failures_ppm = PICK(&rng, 0, 0, 0, 10000, 100000);
	c->alloc_failure_ppm = PICK(&rng, 0, 0, 0, 10000, 100000);
	c->isn_offset_known = sim_chance(&rng, ONE_IN(2)) ? sim_between(&rng, 1, bytes_max + 10) : 0;
	c->sessions = sim_chance(&rng, ONE_IN(8)) ? sim_between(&rng, 2, SIM_SESSIONS_MAX) : 1;
	c->strip_ts = sim_chance(&rng, ONE_IN(4));
	c->strip_sack = sim_chance(&rng, ONE_IN(4));
	c->strip_wscale = sim_chance(&rng, ONE_IN(6));
	c->simultaneous_open = sim_chance(&rng, ONE_IN(20));
	if (sim_chance(&rng, ONE_IN(12)))
		c->abort_at_us = sim_between(&rng, 0, 2000000);
	c->abort_host = (unsigned)(sim_rand(&rng) & 1);
	c->chain = sim_chance(&rng, ONE_IN(4));
	if (sim_chance(&rng, ONE_IN(10)))
		c->config[1].syn_backlog_max = 0; /* SYN cookies only */
	for (unsigned h = 0; h < 2; h++)
		c->points[h] = sim_chance(&rng, ONE_IN(2));
}

void
sim_case_print(const struct sim_case *c)
{
	printf("# case seed %llu: sessions %u, isn %u before the wrap, stripped %s%s%s, %s, mbuf failures %u "
	       "ppm, alloc "
	       "failures %u ppm\n",
	    (unsigned long long)c->seed, c->sessions, c->isn_offset_known, c->strip_ts ? "ts " : "",
	    c->strip_sack ? "sack " : "", c->strip_wscale ? "wscale" : "",
	    c->simultaneous_open ? "simultaneous open" : "normal open", c->mbuf_failures_ppm,
	    c->alloc_failure_ppm);
	if (c->abort_at_us != SIM_NEVER)
		printf("#   host %u aborts at %llu us\n", c->abort_host, (unsigned long long)c->abort_at_us);
	for (unsigned h = 0; h < 2; h++) {
		const struct sim_link_params *l = &c->link[h];
		const struct sim_app_params *a = &c->app[h];
		printf("#   host %u link: loss %u dup %u reorder %u ppm by %u us, delay %u + %u us, rate %u "
		       "B/s, queue %u\n",
		    h, l->loss_ppm, l->duplicate_ppm, l->reorder_ppm, l->reorder_us, l->delay_us,
		    l->jitter_us, l->bytes_per_s, l->queue_bytes);
		printf("#   host %u app: sends %u in writes <= %u, thinks %u us, pauses %u ppm for %u us, "
		       "closes %s\n",
		    h, a->send_bytes, a->write_max, a->think_us, a->pause_ppm, a->pause_us,
		    a->close == SIM_CLOSE_AFTER_PEER ? "after the peer" : "when sent");
		printf("#   host %u stack: rcv %u snd %u mtu %u mss_max %u %s\n", h,
		    c->config[h].rcv_buffer_bytes, c->config[h].snd_buffer_bytes, c->mtu[h],
		    c->config[h].mss_max, c->config[h].congestion == TCP_CUBIC ? "cubic" : "reno");
	}
}
