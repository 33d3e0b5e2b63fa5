/* The checks of scenario.py for libraries of C and C++: a program describes its library as a struct library and calls
 * checks_play(). An operation that is NULL is one the library lacks. Keys and values are bytes with a length; values
 * that come back are copied into a buffer of the caller, so that each library may free its own as it likes. */
#ifndef WIRECACHE_TESTS_CLIENTS_CHECKS_H
#define WIRECACHE_TESTS_CLIENTS_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHECKS_VALUE_MAX (1 << 20)
#define CHECKS_MANY      100

struct value {
	size_t len;
	char bytes[CHECKS_VALUE_MAX];
};

struct library {
	void *(*connect)(const char *protocol, const char *host, uint16_t port); /* NULL: could not */
	bool (*set)(void *client, const char *key, const char *bytes, size_t len, unsigned expire_s);
	bool (*get)(void *client, const char *key, struct value *out);
	bool (*add)(void *client, const char *key, const char *bytes, size_t len);
	bool (*replace)(void *client, const char *key, const char *bytes, size_t len);
	bool (*append)(void *client, const char *key, const char *bytes, size_t len);
	bool (*prepend)(void *client, const char *key, const char *bytes, size_t len);
	bool (*gets)(void *client, const char *key, struct value *out, uint64_t *token);
	bool (*cas)(void *client, const char *key, const char *bytes, size_t len, uint64_t token);
	bool (*incr)(void *client, const char *key, uint32_t delta, uint64_t *out);
	bool (*decr)(void *client, const char *key, uint32_t delta, uint64_t *out);
	bool (*touch)(void *client, const char *key, unsigned expire_s);
	/* Calls found() for each hit, in any order. */
	void (*get_many)(void *client, const char *const *keys, size_t count,
	    void (*found)(void *arg, const char *key, size_t key_len, const char *bytes, size_t len),
	    void *arg);
	bool (*remove)(void *client, const char *key);
	/* curr_items and cmd_get, as the server counts them. */
	bool (*stats)(void *client, uint64_t *curr_items, uint64_t *cmd_get);
	bool (*flush)(void *client);
};

/* The command line of every driver: LIBRARY PROTOCOL HOST PORT PREFIX. Returns main()'s status. */
int checks_play(const struct library *library, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
