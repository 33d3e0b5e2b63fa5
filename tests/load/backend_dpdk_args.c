/*
 * The EAL's arguments, as one line of text, read into the appliance's configuration, so that the appliance's own code
 * (dataplane/eal.c) decides about hugepages, lcores and what is removed afterwards.
 */
#include "tests/load/backend_dpdk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGS_MAX 1024u

bool
dpdk_address_read(const char *text, struct net_addr *addr)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*addr = net_addr_v4(v4.s_addr);
		return true;
	}
	return inet_pton(AF_INET6, text, addr->b) == 1;
}

/* "10.0.0.2/24" or "fd00::2/64" into the port. */
static int
address_read(struct dataplane_port_config *port, const char *text, char error[LOAD_ERROR_BYTES])
{
	char only[INET6_ADDRSTRLEN] = "";
	size_t len = strcspn(text, "/");
	struct net_addr addr;
	unsigned long prefix = text[len] ? strtoul(text + len + 1, NULL, 10) : 0;

	if (len < sizeof(only))
		memcpy(only, text, len);
	if (!dpdk_address_read(only, &addr) || prefix == 0 || prefix > (net_addr_is_v4(&addr) ? 32 : 128)) {
		snprintf(
		    error, LOAD_ERROR_BYTES, "our address must be given with its prefix, as 10.0.0.2/24");
		return -EINVAL;
	}
	if (net_addr_is_v4(&addr)) {
		memcpy(port->addr4, &addr.w[3], sizeof(port->addr4));
		port->prefix4 = (uint8_t)prefix;
	} else {
		memcpy(port->addr6, addr.b, sizeof(port->addr6));
		port->prefix6 = (uint8_t)prefix;
	}
	return 0;
}

static int
gateway_read(struct dataplane_port_config *port, const char *text, char error[LOAD_ERROR_BYTES])
{
	struct net_addr addr;

	if (!text || !text[0])
		return 0;
	if (!dpdk_address_read(text, &addr)) {
		snprintf(error, LOAD_ERROR_BYTES, "%.64s is no address of a gateway", text);
		return -EINVAL;
	}
	if (net_addr_is_v4(&addr))
		memcpy(port->gateway4, &addr.w[3], sizeof(port->gateway4));
	else
		memcpy(port->gateway6, addr.b, sizeof(port->gateway6));
	return 0;
}

/* "0", "0,1" or "2-5": the cpus of the generator's threads. */
static bool
cpus_read(struct dataplane_config *config, const char *text)
{
	config->worker_cpus_len = 0;
	for (;;) {
		char *end;
		long first = strtol(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			last = strtol(text, &end, 10);
			if (end == text)
				return false;
		}
		for (long cpu = first; cpu <= last && config->worker_cpus_len < DATAPLANE_WORKERS_MAX; cpu++)
			config->worker_cpus[config->worker_cpus_len++] = (int)cpu;
		if (*end != ',')
			break;
		text = end + 1;
	}
	if (config->worker_cpus_len)
		config->control_cpu = config->worker_cpus[0];
	return config->worker_cpus_len != 0;
}

/* The value of an option that is spelled `name` here, from the same word or the next; NULL: another option. */
static const char *
option_value(const char *word, const char *name, char **state)
{
	size_t len = strlen(name);

	if (strncmp(word, name, len) != 0)
		return NULL;
	if (word[len] == '=')
		return word + len + 1;
	return word[len] == '\0' ? strtok_r(NULL, " \t", state) : NULL;
}

static bool
word_read(struct dataplane_config *config, const char *word, char **state)
{
	struct dataplane_port_config *port = &config->ports[0];
	const char *value;
	size_t used = strlen(config->eal_args);

	if ((value = option_value(word, "--vdev", state)) || (value = option_value(word, "--allow", state)) ||
	    (value = option_value(word, "-a", state)))
		return snprintf(port->device, sizeof(port->device), "%s", value) < (int)sizeof(port->device);
	if ((value = option_value(word, "-l", state)) || (value = option_value(word, "--lcores", state)))
		return cpus_read(config, value);
	if ((value = option_value(word, "--file-prefix", state)))
		return snprintf(config->file_prefix, sizeof(config->file_prefix), "%s", value) <
		       (int)sizeof(config->file_prefix);
	if (strcmp(word, "--no-huge") == 0) {
		config->hugepages = DATAPLANE_HUGEPAGES_OFF;
		return true;
	}
	if (strcmp(word, "--no-pci") == 0)
		return true; /* follows from the device */
	return snprintf(config->eal_args + used, sizeof(config->eal_args) - used, "%s%s", used ? " " : "",
	           word) < (int)(sizeof(config->eal_args) - used);
}

int
dpdk_args_read(struct dataplane_config *config, const char *eal_args, const char *address,
    const char *gateway, uint32_t mtu, char error[LOAD_ERROR_BYTES])
{
	struct dataplane_port_config *port = &config->ports[0];
	char copy[ARGS_MAX], *state, *word;
	int rc;

	if (mtu)
		port->mtu = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX);
	if (snprintf(copy, sizeof(copy), "%s", eal_args ? eal_args : "") >= (int)sizeof(copy)) {
		snprintf(error, LOAD_ERROR_BYTES, "the EAL's arguments are longer than %u bytes", ARGS_MAX);
		return -EINVAL;
	}
	for (word = strtok_r(copy, " \t", &state); word; word = strtok_r(NULL, " \t", &state)) {
		if (!word_read(config, word, &state)) {
			snprintf(error, LOAD_ERROR_BYTES, "the EAL's argument %.64s is not understood", word);
			return -EINVAL;
		}
	}
	if (!port->device[0]) {
		snprintf(error, LOAD_ERROR_BYTES,
		    "the EAL's arguments name no device: --vdev=net_memif0,... or --allow=PCI-ADDRESS");
		return -EINVAL;
	}
	if (strstr(port->device, "zero-copy=yes") && !strstr(config->eal_args, "--single-file-segments"))
		word_read(config, "--single-file-segments", &state);
	rc = address_read(port, address ? address : "", error);
	return rc == 0 ? gateway_read(port, gateway, error) : rc;
}
