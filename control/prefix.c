/*
 * See prefix.h.
 */
#include "control/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define V4_MAPPED_BITS 96u

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool
is_v4(const struct dataplane_prefix *prefix)
{
	return prefix->bits >= V4_MAPPED_BITS && memcmp(prefix->addr, v4_mapped, sizeof(v4_mapped)) == 0;
}

static bool
rest_is_zero(const struct dataplane_prefix *prefix)
{
	for (unsigned bit = prefix->bits; bit < 128; bit++)
		if (prefix->addr[bit / 8] & (0x80u >> (bit % 8)))
			return false;
	return true;
}

int
prefix_parse(const char *text, struct dataplane_prefix *prefix)
{
	char host[INET6_ADDRSTRLEN];
	size_t host_len = strcspn(text, "/");
	struct dataplane_prefix parsed = {.bits = 128};
	if (host_len == 0 || host_len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	bool v4 = inet_pton(AF_INET, host, parsed.addr + sizeof(v4_mapped)) == 1;
	if (v4)
		memcpy(parsed.addr, v4_mapped, sizeof(v4_mapped));
	else if (inet_pton(AF_INET6, host, parsed.addr) != 1)
		return -EINVAL;
	if (text[host_len] == '/') {
		const char *digits = text + host_len + 1;
		size_t len = strlen(digits);
		if (len == 0 || len > 3 || digits[strspn(digits, "0123456789")] != '\0')
			return -EINVAL;
		unsigned bits = (unsigned)atoi(digits);
		if (bits > (v4 ? 32u : 128u))
			return -ERANGE;
		parsed.bits = (uint8_t)(bits + (v4 ? V4_MAPPED_BITS : 0));
	}
	if (!rest_is_zero(&parsed))
		return -ERANGE;
	*prefix = parsed;
	return 0;
}

void
prefix_format(const struct dataplane_prefix *prefix, char out[PREFIX_TEXT_MAX])
{
	bool v4 = is_v4(prefix);
	inet_ntop(v4 ? AF_INET : AF_INET6, prefix->addr + (v4 ? sizeof(v4_mapped) : 0), out, PREFIX_TEXT_MAX);
	snprintf(out + strlen(out), PREFIX_TEXT_MAX - strlen(out), "/%u",
	    prefix->bits - (v4 ? V4_MAPPED_BITS : 0));
}

bool
prefix_equal(const struct dataplane_prefix *a, const struct dataplane_prefix *b)
{
	return a->bits == b->bits && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0;
}

int
prefix_list_parse(const char *text, struct dataplane_prefix *list, unsigned room)
{
	unsigned len = 0;
	text += strspn(text, " ");
	while (*text != '\0') {
		char word[PREFIX_TEXT_MAX];
		size_t word_len = strcspn(text, ", ");
		if (word_len >= sizeof(word))
			return -EINVAL;
		if (len == room)
			return -ERANGE;
		snprintf(word, sizeof(word), "%.*s", (int)word_len, text);
		int error = prefix_parse(word, &list[len++]);
		if (error != 0)
			return error;
		text += word_len;
		text += strspn(text, " ");
		if (*text == '\0')
			break;
		if (*text != ',')
			return -EINVAL;
		text++;
		text += strspn(text, " ");
		if (*text == '\0')
			return -EINVAL;
	}
	return (int)len;
}

void
prefix_list_format(const struct dataplane_prefix *list, unsigned len, char *out, size_t out_bytes)
{
	size_t used = 0;
	*out = '\0';
	for (unsigned i = 0; i < len && used < out_bytes; i++) {
		char text[PREFIX_TEXT_MAX];
		prefix_format(&list[i], text);
		used += (size_t)snprintf(out + used, out_bytes - used, "%s%s", i > 0 ? "," : "", text);
	}
}
