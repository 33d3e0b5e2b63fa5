/*
 * See filter.h.
 */
#include "control/ctl/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <pcap/pcap.h>

#define PACKET_BYTES_MAX 65535 /* for the compiler: what a filter may look at */

static char *
program_text(const struct bpf_program *program)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);
	if (out == NULL)
		return NULL;
	fprintf(out, "%u", program->bf_len);
	for (unsigned i = 0; i < program->bf_len; i++)
		fprintf(out, ",%u %u %u %u", program->bf_insns[i].code, program->bf_insns[i].jt,
		    program->bf_insns[i].jf, program->bf_insns[i].k);
	if (fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}

char *
filter_compile(const char *filter, char error[FILTER_ERROR_MAX])
{
	struct bpf_program program;
	char *text = NULL;
	pcap_t *nothing = pcap_open_dead(DLT_EN10MB, PACKET_BYTES_MAX);
	snprintf(error, FILTER_ERROR_MAX, "out of memory");
	if (nothing == NULL)
		return NULL;
	if (pcap_compile(nothing, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0) {
		text = program_text(&program);
		pcap_freecode(&program);
	} else {
		snprintf(error, FILTER_ERROR_MAX, "the filter is wrong: %s", pcap_geterr(nothing));
	}
	pcap_close(nothing);
	return text;
}
