/*
 * Filters of a capture: programs of the Berkeley packet filter as text, in the form that iptables' `-m bpf` takes: the number
 * of instructions, then "code jt jf k" of each, all between commas.
 *
 *   "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0"       packets of IPv4
 *
 * Whoever asks for a capture compiles its filter. Compiling looks names up in files and at name servers, which may take for
 * ever, and is no work for the thread that answers everybody.
 *
 * Pure functions, any thread.
 */
#ifndef WIRECACHE_BYTECODE_H
#define WIRECACHE_BYTECODE_H

#include <pcap/pcap.h>

#include "dataplane/dataplane.h"

#define BYTECODE_MAX 1024u /* instructions; each is run at most once a packet */

/*
 * 0: *program is safe to run on any packet, its instructions are to be freed with free(). Else -EINVAL or -ENOMEM, with a
 * sentence.
 */
int bytecode_parse(const char *text, struct bpf_program *program, char error[DATAPLANE_ERROR_MAX]);

#endif
